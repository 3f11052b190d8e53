"""The three actors, on their own host."""
