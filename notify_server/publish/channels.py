"""The protocol of channels: ways to send stored events to readers; `server.py` composes them."""

from __future__ import annotations

from typing import Protocol

from notify_server.store.notifications import StoredEvent


class Channel(Protocol):
    """A channel as publishing uses it. Any thread may call it; no call blocks."""

    @property
    def backlog(self) -> int:
        """How many recipients the channel has still to process."""

    def push(self, event: StoredEvent) -> None:
        """Send the event to the recipients that the channel can reach."""

    def revoke_keys(self, generations: dict[bytes, int]) -> None:
        """Drop clients that have proved an older generation of their user's key."""

    def catch_up(self) -> None:
        """Send what is unread and was not sent: what is new may have been taken for known."""

    def end_sessions(self) -> None:
        """Drop all clients, so that they subscribe again."""
