"""Covers from the source, through a cache of this host's own."""
