"""Parts that only the embedded host has."""
