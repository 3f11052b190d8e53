"""What every actor host does, tested through its interface; a host joins by one more harness in ``conftest.py``."""
