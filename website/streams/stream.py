"""One connection: the head of its request, then what is sent to it.

A protocol of asyncio and not a task a connection: a task with its reader and writer takes 6 KB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from sql.snapshot import Snapshot
from website.streams import frames
from website.streams.requests import END, MAX_HEAD_BYTES, Refused, Request, parse_head

FLUSH_S = 2.0  # for the last bytes of a connection that ends
MAX_BEHIND_BYTES = 64 * 1024  # a reader that is further behind is dropped


class Owner(Protocol):
    """What a stream belongs to."""

    def begin(self, stream: Stream) -> None:
        """Note a new connection."""

    def answer(self, stream: Stream, request: Request) -> None:
        """Decide what becomes of a request."""

    def forget(self, stream: Stream) -> None:
        """Note that the connection is gone."""


class Stream(asyncio.Protocol):
    """A connection.

    Attributes:
        peer: its other end's address.
        reader: the 16 bytes of the reader's id; None for a visitor.
        seen: what it has been sent; None for one that has no past.
        since: what it had been sent when it came.
        must_reset: whether some of what it missed is left out.
        holders: for whom it counts; empty if it counts for nobody.
        slot: which of the heartbeats is its own.
        is_drained: whether everything that was written has left.
        was_behind: whether it had not at the last heartbeat.
        on_drained: called when it has.
    """

    __slots__ = (
        "_buffer",
        "_owner",
        "_transport",
        "born_s",
        "holders",
        "is_drained",
        "is_operator",
        "must_reset",
        "on_drained",
        "peer",
        "reader",
        "seen",
        "since",
        "slot",
        "was_behind",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._buffer: bytes | None = b""
        self._transport: asyncio.Transport
        self.holders: tuple[object, ...] = ()
        self.reader: bytes | None = None
        self.is_operator = False
        self.seen: Snapshot | None = None
        self.since: Snapshot | None = None
        self.must_reset = False
        self.was_behind = False
        self.slot = 0
        self.born_s = 0.0
        self.is_drained = True
        self.on_drained: Callable[[Stream], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        transport.set_write_buffer_limits(high=0)  # to be told when everything has left
        self.born_s = asyncio.get_running_loop().time()
        self._owner.begin(self)

    def data_received(self, data: bytes) -> None:
        if self._buffer is None:  # nothing follows a request
            self._transport.abort()
            return
        self._buffer += data
        end = self._buffer.find(END)
        if end < 0 and len(self._buffer) <= MAX_HEAD_BYTES:
            return
        head, self._buffer = self._buffer, None
        try:
            if not 0 <= end <= MAX_HEAD_BYTES:
                raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if end + len(END) != len(head):
                raise Refused(HTTPStatus.BAD_REQUEST)
            self._owner.answer(self, parse_head(head[:end]))
        except Refused as exc:
            self.refuse(exc.status)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.forget(self)

    def pause_writing(self) -> None:
        self.is_drained = False

    def resume_writing(self) -> None:
        self.is_drained = True
        if self.on_drained is not None:
            self.on_drained(self)

    def refuse(self, status: HTTPStatus) -> None:
        self.finish(frames.answer(status, f"{status.phrase}\n"))

    def finish(self, last: bytes) -> None:
        """Send the last bytes and close; abort where they do not leave in time."""
        self._buffer = None
        if self._transport.is_closing():
            return
        self._transport.write(last)
        self._transport.close()
        asyncio.get_running_loop().call_later(FLUSH_S, self._transport.abort)

    def send(self, data: bytes) -> None:
        """Send live; drop the connection if its other end is too far behind."""
        if self._transport.get_write_buffer_size() > MAX_BEHIND_BYTES:
            self._transport.abort()
            return
        self._transport.write(data)

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def drop(self) -> None:
        self._transport.abort()
