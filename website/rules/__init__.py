"""Decisions of the pages: pure."""
