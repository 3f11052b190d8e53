"""Where actors run: an embedded host that needs nothing beside Python, behind a small interface."""
