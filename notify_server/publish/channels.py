"""What a channel is: a way to send stored events to readers; `server.py` composes them."""

from __future__ import annotations

from typing import Protocol

from notify_server.store.notifications import StoredEvent


class Channel(Protocol):
    """What publishing needs of a channel. Any thread may call it, and no call waits."""

    @property
    def backlog(self) -> int:
        """How many recipients the channel has not dealt with yet."""

    def push(self, event: StoredEvent) -> None:
        """Send the event to the recipients that the channel can reach."""

    def revoke_keys(self, generations: dict[bytes, int]) -> None:
        """Drop clients that have proved an older generation of their user's key."""
