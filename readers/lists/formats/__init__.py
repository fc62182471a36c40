"""Formats of lists, one file each: from a file's bytes to entries, and for some the way back."""
