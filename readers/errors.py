"""Errors of this package: one root, and a leaf for each way in which a caller reacts."""

from __future__ import annotations


class ReadersError(Exception):
    """Root of this package's errors; its text is one clear line."""


class NotFound(ReadersError):
    """What was named does not exist, or is not unambiguous."""


class Taken(ReadersError):
    """A name that must be unique is in use."""
