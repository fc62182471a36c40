"""HTTP/1.1 on a socket: reads requests, writes replies, also in all the wrong ways.

Kept small on purpose: a request's arrival is the moment when its first line is complete.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from threading import Event
from typing import BinaryIO

MAX_LINE_BYTES = 65_536
MAX_HEADERS = 100
MAX_BODY_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 65_536
_DRIP_PAUSE_S = 0.05


class Manner(Enum):
    """How a reply is put on the wire."""

    PLAIN = "plain"
    CUT = "cut"  # half of the promised bytes, then closed
    CLOSE = "close"  # closed without a byte
    RESET = "reset"  # TCP reset without a byte
    HANG = "hang"  # no byte, kept open
    ENDLESS = "endless"  # no length, as much as the reader takes
    DRIP = "drip"  # a few bytes at a time


class BadRequestError(Exception):
    """What came is not a request that this server can read."""


@dataclass(frozen=True)
class Request:
    """One request; header names in lower case, arrival in monotonic seconds."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    arrival_s: float
    keep_alive: bool

    @property
    def path(self) -> str:
        """The target up to the question mark."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target after the question mark."""
        return self.target.partition("?")[2]


@dataclass(frozen=True)
class Reply:
    """A status, a body and how to send them; `seconds` and `size` for manners that need them."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    manner: Manner = Manner.PLAIN
    seconds: float = 0.0
    size: int = 0


def read_request(reader: BinaryIO) -> Request | None:
    """Return the next request, or None if the client has gone; BadRequestError otherwise."""
    line = reader.readline(MAX_LINE_BYTES)
    arrival_s = time.monotonic()
    if not line.strip():
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequestError(f"not a request line: {line[:80]!r}")
    headers = _read_headers(reader)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise BadRequestError(f"invalid length: {length[:80]!r}")
    body = reader.read(int(length))
    connection = headers.get("connection", "").lower()
    keep_alive = connection != "close" and (parts[2] != "HTTP/1.0" or connection == "keep-alive")
    return Request(parts[0], parts[1], headers, body, arrival_s, keep_alive)


def _read_headers(reader: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = reader.readline(MAX_LINE_BYTES)
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raise BadRequestError("too many headers")


def write_reply(connection: socket.socket, reply: Reply, keep_alive: bool, stopped: Event) -> bool:
    """Send a reply; return whether the connection can be used again."""
    if reply.manner is Manner.PLAIN:
        connection.sendall(_head(reply, len(reply.body), keep_alive) + reply.body)
        return keep_alive
    _MISBEHAVIOURS[reply.manner](connection, reply, stopped)
    return False


def _head(reply: Reply, length: int | None, keep_alive: bool) -> bytes:
    reason = HTTPStatus(reply.status).phrase
    lines = [f"HTTP/1.1 {reply.status} {reason}"]
    if reply.body or length is None:
        lines.append(f"Content-Type: {reply.content_type}")
    if length is not None and reply.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _cut(connection: socket.socket, reply: Reply, _: Event) -> None:
    head = _head(reply, len(reply.body), keep_alive=False)
    connection.sendall(head + reply.body[: len(reply.body) // 2])


def _close(_: socket.socket, __: Reply, ___: Event) -> None:
    """Say nothing; the caller closes."""


def _reset(connection: socket.socket, _: Reply, __: Event) -> None:
    """Make the close that follows a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _hang(_: socket.socket, reply: Reply, stopped: Event) -> None:
    stopped.wait(reply.seconds)


def _endless(connection: socket.socket, reply: Reply, stopped: Event) -> None:
    """Send an unfinished JSON list until the size is reached or the client has enough."""
    connection.sendall(_head(reply, None, keep_alive=False) + b'{"result":"ok","data":[null')
    chunk = b",null" * (_CHUNK_BYTES // 5)
    sent = 0
    while sent < reply.size and not stopped.is_set():
        connection.sendall(chunk)
        sent += len(chunk)


def _drip(connection: socket.socket, reply: Reply, stopped: Event) -> None:
    """Spread the body over `seconds`."""
    connection.sendall(_head(reply, len(reply.body), keep_alive=False))
    steps = max(1, int(reply.seconds / _DRIP_PAUSE_S))
    step = -(-len(reply.body) // steps)
    for start in range(0, len(reply.body), max(1, step)):
        connection.sendall(reply.body[start : start + step])
        if stopped.wait(_DRIP_PAUSE_S):
            return


_MISBEHAVIOURS: dict[Manner, Callable[[socket.socket, Reply, Event], None]] = {
    Manner.CUT: _cut,
    Manner.CLOSE: _close,
    Manner.RESET: _reset,
    Manner.HANG: _hang,
    Manner.ENDLESS: _endless,
    Manner.DRIP: _drip,
}
