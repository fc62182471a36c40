"""Many UDP clients in one thread: they subscribe, acknowledge, and come back after anything."""

from __future__ import annotations

import json
import selectors
import threading
from collections.abc import Iterable
from time import monotonic

from tests.support.udp_client import Message, UdpClient
from tests.support.waiting import wait_until

ASK_AGAIN_S = 0.4
PING_AFTER_S = 0.5
MISSED_PINGS = 3


class Reader(UdpClient):
    """One client that waits for nothing; `heard` has every notification as often as it came."""

    def __init__(self, server: tuple[str, int], user_id: str, key: str) -> None:
        super().__init__(server, user_id, key)
        self.socket.setblocking(False)
        self.heard: list[Message] = []
        self.subscriptions = 0
        self._next_s = 0.0
        self._unanswered = 0

    def tick(self, now_s: float) -> None:
        """Send what is due: the first SUBSCRIBE, or a PING where it has been quiet."""
        if now_s < self._next_s:
            return
        if self.session is None or self._unanswered >= MISSED_PINGS:
            self.session = None
            self.ask()
            self._next_s = now_s + ASK_AGAIN_S
        else:
            self.ping()
            self._unanswered += 1
            self._next_s = now_s + PING_AFTER_S

    def take_all(self, now_s: float) -> None:
        while True:
            try:
                message = json.loads(self.socket.recv(2048))
            except BlockingIOError:
                return
            self._take(message, now_s)

    def _take(self, message: Message, now_s: float) -> None:
        if message["type"] == "CHALLENGE":
            self.session = None
            self.send(self.request(message["cookie"]))
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
            self.ack(message["id"])


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
                key.data.take_all(monotonic())
            for reader in self.all:
                reader.tick(monotonic())

    def wait_until_connected(self) -> None:
        wait_until(lambda: all(reader.session for reader in self.all))

    def wait_until_each_heard(self, number: int, patience_s: float) -> None:
        wait_until(lambda: min(distinct(r.heard) for r in self.all) >= number, patience_s)

    def close(self) -> None:
        """Let the clients just vanish; works twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._selector.close()
        for reader in self.all:
            reader.close()


def distinct(heard: Iterable[Message]) -> int:
    return len({message["id"] for message in list(heard)})
