"""A load generator for the notification server: many client sockets in one process, one epoll.

It speaks the protocol by itself and shares no code with the server.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import select
import socket
from dataclasses import dataclass, field
from time import perf_counter

_ID = re.compile(rb'"id":(\d+)')
_BUFFER = 2048


@dataclass
class Reader:
    """One subscribed socket.

    Attributes:
        ids: of all notifications received, in order, with repeats.
    """

    sock: socket.socket
    user_id: str
    session: str = ""
    ids: list[int] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    acknowledges: bool = True


class Crowd:
    """Clients that subscribe together and are then read together."""

    def __init__(self, server: tuple[str, int], keys: dict[str, str]) -> None:
        self._server = server
        self._keys = keys
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def readers(self) -> list[Reader]:
        return list(self._readers.values())

    def open(self, users: list[str], host: str = "127.0.0.1") -> None:
        for user_id in users:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((host, 0))
            sock.connect(self._server)
            sock.setblocking(False)
            self._readers[sock.fileno()] = Reader(sock, user_id)
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def subscribe(self, timeout_s: float = 20.0) -> float:
        """Subscribe all at once; return the seconds until the last is confirmed."""
        started = perf_counter()
        pending = {r for r in self._readers if not self._readers[r].session}
        self._ask(pending)
        asked = perf_counter()
        while pending and perf_counter() - started < timeout_s:
            for fileno, _ in self._epoll.poll(0.2):
                self._on_answer(self._readers[fileno], pending)
            if pending and perf_counter() - asked > 1.0:
                self._ask(pending)
                asked = perf_counter()
        if pending:
            raise RuntimeError(f"{len(pending)} clients were not confirmed")
        return perf_counter() - started

    def _ask(self, filenos: set[int]) -> None:
        for fileno in filenos:
            reader = self._readers[fileno]
            body = {"type": "SUBSCRIBE", "user_id": reader.user_id, "cookie": ""}
            reader.sock.send(json.dumps(body).encode())

    def _on_answer(self, reader: Reader, pending: set[int]) -> None:
        body = json.loads(reader.sock.recv(_BUFFER))
        if body["type"] == "CHALLENGE":
            reader.sock.send(self._request(reader, body["cookie"]))
        elif body["type"] == "SUBSCRIBE":
            reader.session = body["session"]
            pending.discard(reader.sock.fileno())
        elif "id" in body:
            self._take(reader, body["id"])

    def _request(self, reader: Reader, cookie: str) -> bytes:
        text = f"subscribe|{reader.user_id}|1|{cookie}"
        key = self._keys[reader.user_id].encode()
        proof = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        body = {"type": "SUBSCRIBE", "user_id": reader.user_id, "cookie": cookie, "ack": True}
        return json.dumps({**body, "proof": proof}).encode()

    def _take(self, reader: Reader, id: int) -> None:
        reader.ids.append(id)
        reader.arrivals.append(perf_counter())
        if reader.acknowledges:
            ack = b'{"type":"ACK","session":"%b","ids":[%d]}' % (reader.session.encode(), id)
            reader.sock.send(ack)

    def read(self, count: int, timeout_s: float) -> tuple[int, float]:
        """Read until so many notifications have come in all.

        Returns:
            how many came, and when the last of them did (`perf_counter`).
        """
        before = sum(len(set(r.ids)) for r in self._readers.values())
        found, last = 0, perf_counter()
        deadline = last + timeout_s
        while found < count and perf_counter() < deadline:
            for fileno, _ in self._epoll.poll(0.05, 512):
                found += self._drain(self._readers[fileno])
                last = perf_counter()
            if found >= count:  # repeats do not count
                found = sum(len(set(r.ids)) for r in self._readers.values()) - before
        return found, last

    def _drain(self, reader: Reader) -> int:
        found = 0
        while True:
            try:
                datagram = reader.sock.recv(_BUFFER)
            except BlockingIOError:
                return found
            match = _ID.search(datagram)
            if match is None:
                continue
            found += 1
            self._take(reader, int(match[1]))

    def forget(self) -> None:
        """Restart the counts."""
        for reader in self._readers.values():
            reader.ids.clear()
            reader.arrivals.clear()

    def close(self) -> None:
        for reader in self._readers.values():
            reader.sock.close()
        self._readers.clear()
        self._epoll.close()
