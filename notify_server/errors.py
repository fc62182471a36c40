"""The notification server's errors: one root, and one class for each reaction of a caller."""

from __future__ import annotations

import errno


class NotifyError(Exception):
    """Root of this package's errors; its text is one clear line."""


class UsageError(NotifyError):
    """Options that exclude each other."""


class PortTaken(NotifyError):
    """A socket cannot be bound; the text names the variable that helps."""

    def __init__(
        self, protocol: str, address: str, port: int, variable: str, reason: OSError
    ) -> None:
        help_text = f"stop what listens there, or set {variable}"
        if reason.errno == errno.EADDRNOTAVAIL:
            help_text = "set NOTIFY_BIND to an address of this host"
        super().__init__(
            f"{protocol} port {port} of {address} cannot be used ({reason.strerror}): {help_text}"
        )


class Unstorable(NotifyError):
    """The database rejects this event, by its columns, its rules or a trigger."""


class TooBusy(NotifyError):
    """Too many events are waiting to be pushed."""
