"""The HTTP surface: every row of its tables."""
