"""Requests of the UDP thread to the database thread. A reply is a call in the UDP thread."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from notify_server.wire.protocol import Subscribe
from readers.datagram import DatagramTemplate
from sql.snapshot import Snapshot


class Marks(NamedTuple):
    """Ids of notifications to be marked as acknowledged, and as read."""

    acknowledged: list[int]
    read: list[int]


class Unread(NamedTuple):
    """A user's unread rows, oldest first, the query's snapshot, and the key's generation."""

    ids: list[int]
    snapshot: Snapshot
    generation: int


class Refusal(Enum):
    """Why nothing is listed."""

    REJECTED = "unknown user or wrong proof"
    AWAY = "the database is unavailable"


class UnreadRequest(NamedTuple):
    """Check the proof in the message, if there is one, and list what the user has not read."""

    user: bytes
    message: Subscribe | None
    reply: Callable[[Unread | Refusal], None]


class PageRequest(NamedTuple):
    """Load these rows; the reply has those that can be read, None during an outage."""

    ids: list[int]
    reply: Callable[[list[tuple[int, DatagramTemplate]] | None], None]


class DatabaseRequests:
    """Collects marks, and sends them before every request for what is unread.

    The database thread keeps that order, so a notification just acknowledged is never replayed.
    """

    def __init__(self, put: Callable[[Marks | UnreadRequest | PageRequest], None]) -> None:
        self._put = put
        self._marks = Marks([], [])

    @property
    def has_marks(self) -> bool:
        return any(self._marks)

    def mark_acknowledged(self, id: int) -> None:
        self._marks.acknowledged.append(id)

    def mark_read(self, id: int) -> None:
        self._marks.read.append(id)

    def flush_marks(self) -> None:
        if self.has_marks:
            self._put(self._marks)
            self._marks = Marks([], [])

    def ask_unread(self, request: UnreadRequest) -> None:
        self.flush_marks()
        self._put(request)

    def load_page(self, request: PageRequest) -> None:
        self._put(request)
