"""Errors of this package: one root, and one class for each reaction of a caller."""

from __future__ import annotations


class ReadersError(Exception):
    """Root of this package's errors; its text is one clear line."""


class NotFound(ReadersError):
    """The named thing does not exist, or the name is ambiguous."""


class Taken(ReadersError):
    """A name that must be unique is in use."""


class InvalidPreference(ReadersError):
    """A value that cannot be set; the text says what can."""


class UnreadableList(ReadersError):
    """A file that is no list in a known format, or is damaged; the text says what helps."""


class NoSuchEntry(NotFound):
    """An entry of an imported list that the reader does not have, or has decided already."""
