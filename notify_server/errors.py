"""The notification server's errors: one root, and one class for each reaction of a caller."""

from __future__ import annotations


class NotifyError(Exception):
    """Root of this package's errors; its text is one clear line."""


class UsageError(NotifyError):
    """Options that exclude each other."""


class Unstorable(NotifyError):
    """The database rejects this event, by its columns, its rules or a trigger."""


class TooBusy(NotifyError):
    """Too many events are waiting to be pushed."""
