"""What the UDP thread asks of the database thread."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from notify_server.store.snapshot import Snapshot
from notify_server.udp.clients import Client, Replay
from notify_server.wire.datagram import DatagramTemplate
from notify_server.wire.protocol import Subscribe


class Marks(NamedTuple):
    """Ids of notifications to be marked as acknowledged, and as read."""

    acknowledged: list[int]
    read: list[int]


class Unread(NamedTuple):
    """A user's unread rows, oldest first, what the query saw, and the generation of his key."""

    ids: list[int]
    snapshot: Snapshot
    generation: int


class Refusal(Enum):
    """Why there is no answer: wrong proof or unknown user; or the database is away."""

    REJECTED = "rejected"
    AWAY = "away"


class UnreadRequest(NamedTuple):
    """Check the client's proof, and list what its user has not read.

    Attributes:
        message: None where there is nothing to check: the client has missed something.
        replay: where the list belongs, None where a replay to the client is under way already.
        is_new: whether the client is a candidate, not one that subscribed before.
        reply: takes this request and the answer, in the UDP thread.
    """

    client: Client
    message: Subscribe | None
    replay: Replay | None
    is_new: bool
    reply: Callable[[UnreadRequest, Unread | Refusal], None]

    @property
    def is_proved(self) -> bool:
        """Whether there is a proof to check: legacy clients send none."""
        return self.message is not None and self.message.cookie is not None


class PageRequest(NamedTuple):
    """Load the rows of a client's replay.

    Attributes:
        reply: takes this request and the rows that can be read, in the UDP thread; None where the
            database is away.
    """

    client: Client
    ids: list[int]
    reply: Callable[[PageRequest, list[tuple[int, DatagramTemplate]] | None], None]


class DatabaseRequests:
    """Collects marks, and sends them before every request for what is unread.

    The database thread keeps that order, so what was just acknowledged is never replayed.
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
