"""The three actors of a conversation. Calls go one way: chat → response → memory."""
