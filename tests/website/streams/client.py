"""A client of streams: plain sockets, so that a test sees each byte."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import Any, Self

TIMEOUT_S = 8


@dataclass
class Event:
    """One event; `data` is None where there was none."""

    kind: str = ""
    id: str = ""
    data: Any = None


@dataclass
class Client:
    """One connection."""

    address: tuple[str, int]
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    buffer_bytes: int = 0  # of the system, for what is not read yet; 0: as usual
    last_id: str = ""

    def __post_init__(self) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(TIMEOUT_S)
        if self.buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer_bytes)
        self.sock.connect(self.address)
        lines = [f"GET {self.target} HTTP/1.1", f"Host: {self.address[0]}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._reader = self.sock.makefile("rb")
        self.status = int(self._reader.readline().split()[1])
        self.answer_headers: dict[str, str] = {}
        while (line := self._reader.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.answer_headers[name.lower()] = value.strip()

    def block(self) -> Event | str | None:
        """Return what comes next: an event, a comment, or None at the end."""
        found, comment, data = Event(), "", ""
        while (line := self._reader.readline()) not in (b"\n", b""):
            name, _, value = line.decode().rstrip("\n").partition(":")
            value = value.removeprefix(" ")
            if name == "":
                comment += value or "-"
            elif name == "id":
                found.id = value
            elif name == "event":
                found.kind = value
            elif name == "data":
                data = value
        if line == b"":  # what is not whole does not count
            return None
        if data:
            found.data = json.loads(data)
        self.last_id = found.id or self.last_id
        return comment if comment else found

    def events(self, number: int) -> list[Event]:
        """Return the next events with data."""
        found: list[Event] = []
        while len(found) < number:
            each = self.block()
            assert each is not None, f"the stream ended after {found}"
            if isinstance(each, Event) and each.data is not None:
                found.append(each)
        return found

    def ready(self) -> Self:
        """Wait until the stream is live: then its position comes."""
        while not self.last_id:
            assert self.block() is not None
        return self

    def rest(self) -> bytes:
        """Return everything until the end."""
        return self._reader.read()

    def close(self) -> None:
        self._reader.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
