"""How the whole installation is doing, as operators see it."""
