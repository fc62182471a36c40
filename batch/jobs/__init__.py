"""One workflow a module."""
