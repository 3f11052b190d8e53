"""What a turn costs. A package, so that ``dapr.py`` here does not stand in for the SDK of that name."""
