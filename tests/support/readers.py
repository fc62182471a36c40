"""Many UDP clients in one thread: they subscribe, acknowledge, and come back after anything."""

from __future__ import annotations

import hashlib
import hmac
import json
import selectors
import socket
import threading
from collections.abc import Iterable
from time import monotonic
from typing import Any

from tests.support.waiting import wait_until

ASK_AGAIN_S = 0.4
PING_AFTER_S = 0.5
MISSED_PINGS = 3


class Reader:
    """One client of one user; `heard` has every notification as often as it came."""

    def __init__(self, server: tuple[str, int], user_id: str, key: str) -> None:
        self.user_id = user_id
        self.heard: list[dict[str, Any]] = []
        self.session: str | None = None
        self.subscriptions = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self._server = server
        self._key = key.encode()
        self._next_s = 0.0
        self._unanswered = 0

    def tick(self, now_s: float) -> None:
        """Says what is due: the first SUBSCRIBE, or a PING where it has been quiet."""
        if now_s < self._next_s:
            return
        if self.session is None or self._unanswered >= MISSED_PINGS:
            self.session = None
            self._send(type="SUBSCRIBE", user_id=self.user_id, cookie="")
            self._next_s = now_s + ASK_AGAIN_S
        else:
            self._send(type="PING", session=self.session, user_id=self.user_id)
            self._unanswered += 1
            self._next_s = now_s + PING_AFTER_S

    def read(self, now_s: float) -> None:
        while True:
            try:
                message = json.loads(self.socket.recv(2048))
            except BlockingIOError:
                return
            self._take(message, now_s)

    def _take(self, message: dict[str, Any], now_s: float) -> None:
        if message["type"] == "CHALLENGE":
            self.session = None
            self._prove(message["cookie"])
            self._next_s = now_s + ASK_AGAIN_S
        elif message["type"] == "SUBSCRIBE":
            self.session, self._unanswered = message["session"], 0
            self.subscriptions += 1
        elif self.session is None or message.get("session") != self.session:
            return
        else:
            self._unanswered = 0
            self._next_s = now_s + PING_AFTER_S
        if "id" in message:
            self.heard.append(message)
            self._send(type="ACK", session=self.session, ids=[message["id"]])

    def _prove(self, cookie: str) -> None:
        text = f"subscribe|{self.user_id}|1|{cookie}".encode()
        proof = hmac.new(self._key, text, hashlib.sha256).hexdigest()
        self._send(type="SUBSCRIBE", user_id=self.user_id, cookie=cookie, ack=True, proof=proof)

    def _send(self, **message: object) -> None:
        self.socket.sendto(json.dumps(message).encode(), self._server)


class Readers:
    """`Readers("127.0.0.1:8082", {user_id: key})`: one client a user, until `close`."""

    def __init__(self, server: str, keys: dict[str, str]) -> None:
        host, _, port = server.rpartition(":")
        self.all = [Reader((host, int(port)), *pair) for pair in keys.items()]
        self._selector = selectors.DefaultSelector()
        for reader in self.all:
            self._selector.register(reader.socket, selectors.EVENT_READ, reader)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                key.data.read(monotonic())
            for reader in self.all:
                reader.tick(monotonic())

    def wait_until_connected(self) -> None:
        wait_until(lambda: all(reader.session for reader in self.all))

    def wait_until_each_heard(self, number: int, patience_s: float) -> None:
        wait_until(lambda: min(distinct(r.heard) for r in self.all) >= number, patience_s)

    def close(self) -> None:
        """The clients just vanish; works twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._selector.close()
        for reader in self.all:
            reader.socket.close()


def distinct(heard: Iterable[dict[str, Any]]) -> int:
    return len({message["id"] for message in list(heard)})
