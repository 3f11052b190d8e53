"""What things cost, as ratios. A package, so that ``dapr.py`` here does not stand in for the SDK of that name."""
