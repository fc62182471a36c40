"""The UDP client of the tests: it speaks the protocol by itself and shares no code with the server.

bench/notify_clients.py has its own, which is fast.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from time import monotonic
from typing import Any

from tests.support.waiting import PATIENCE_S

Message = dict[str, Any]


def sign(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def proof(key: str, user_id: str, cookie: str, ack: bool = True) -> str:
    """Return what a SUBSCRIBE proves with that it comes from the holder of the key."""
    return sign(key, f"subscribe|{user_id}|{int(ack)}|{cookie}")


class UdpClient:
    """One socket that subscribes as one user."""

    def __init__(
        self, server: tuple[str, int], user_id: str, key: str, bind: str = "127.0.0.1"
    ) -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(("::1" if family == socket.AF_INET6 else bind, 0))
        self.server = server
        self.user_id = user_id
        self.key = key
        self.session: str | None = None

    def close(self) -> None:
        self.socket.close()

    def send(self, message: object) -> None:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.socket.sendto(body, self.server)

    def receive(self, timeout: float = PATIENCE_S) -> Message:
        self.socket.settimeout(timeout)
        datagram = self.socket.recv(65536)
        assert len(datagram) <= 1200
        body = json.loads(datagram)
        assert isinstance(body, dict)
        return body

    def receive_type(self, kind: str, timeout: float = PATIENCE_S) -> Message:
        """Return the next datagram of this type; others in between are dropped."""
        deadline = monotonic() + timeout
        while True:
            body = self.receive(max(0.01, deadline - monotonic()))
            if body["type"] == kind:
                return body

    def is_silent(self, seconds: float = 0.2) -> bool:
        try:
            self.receive(seconds)
        except TimeoutError:
            return True
        return False

    def ask(self) -> None:
        """Send the first SUBSCRIBE, which is challenged."""
        self.send({"type": "SUBSCRIBE", "user_id": self.user_id, "cookie": ""})

    def cookie(self) -> str:
        self.ask()
        return str(self.receive_type("CHALLENGE")["cookie"])

    def proof(self, cookie: str, ack: bool) -> str:
        return proof(self.key, self.user_id, cookie, ack)

    def request(self, cookie: str, ack: bool = True) -> Message:
        """Return the second SUBSCRIBE, which proves who it is."""
        body = {"type": "SUBSCRIBE", "user_id": self.user_id, "cookie": cookie}
        return body | {"proof": self.proof(cookie, ack)} | ({"ack": True} if ack else {})

    def subscribe(self, ack: bool = True) -> Message:
        """Take all three steps; return the confirmation."""
        self.send(self.request(self.cookie(), ack))
        confirmation = self.receive_type("SUBSCRIBE")
        self.session = confirmation["session"]
        return confirmation

    def ack(self, *ids: int) -> None:
        self.send({"type": "ACK", "session": self.session, "ids": list(ids)})

    def ping(self) -> None:
        self.send({"type": "PING", "session": self.session, "user_id": self.user_id})

    def read(self, count: int, timeout: float = PATIENCE_S) -> list[Message]:
        """Receive and acknowledge so many notifications."""
        found: list[Message] = []
        deadline = monotonic() + timeout
        while len(found) < count:
            body = self.receive(max(0.01, deadline - monotonic()))
            if "id" in body:
                self.ack(body["id"])
                found.append(body)
        return found
