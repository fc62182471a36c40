"""Starts scripts as a user would, and plays a server that can misbehave."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.udp_client import proof

LISTENER = ROOT / "scripts" / "udp_listener.py"
USER = "5f1d2c3b-0000-4000-8000-00000000cafe"
KEY = "0123456789abcdef" * 4


class Output:
    """The lines that come out of a pipe or a terminal."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._rest = b""

    def line(self, containing: str = "", timeout: float = 10) -> str:
        """The next line with this text; those in between are dropped."""
        deadline = monotonic() + timeout
        passed = []
        while True:
            while b"\n" in self._rest:
                head, self._rest = self._rest.split(b"\n", 1)
                passed.append(head.decode().rstrip("\r"))
                if containing in passed[-1]:
                    return passed[-1]
            ready = select.select([self._handle], [], [], max(0, deadline - monotonic()))[0]
            assert ready, f"no line with {containing!r} came, but {passed} {self._rest!r}"
            more = os.read(self._handle, 65536)
            assert more, f"it ended without a line with {containing!r}: {passed}"
            self._rest += more


class Listener:
    """A running udp_listener.py."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stderr is not None
        self.errors = Output(process.stderr.fileno())
        self.lines = Output(process.stdout.fileno()) if process.stdout else self.errors

    def next_json(self) -> dict[str, Any]:
        body = json.loads(self.lines.line())
        assert isinstance(body, dict)
        return body

    def end(self, number: int | None = None, timeout: float = 10) -> tuple[int, str, str]:
        """After this signal, if any: its exit code and what it had still to say."""
        if number is not None:
            self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=timeout)
        assert b"Traceback" not in stderr, stderr.decode()
        return self.process.returncode, (stdout or b"").decode(), stderr.decode()


@pytest.fixture
def listen(clean_environment: dict[str, str]) -> Iterator[Callable[..., Listener]]:
    """`listen("--server", …, env={…}, stdout=…)`: quick time-outs; USER and KEY unless changed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *arguments: str, env: dict[str, str] | None = None, stdout: int = subprocess.PIPE
    ) -> Listener:
        identity = {"MANGAHUB_USER": USER, "MANGAHUB_KEY": KEY}
        process = subprocess.Popen(
            [sys.executable, str(LISTENER), "--reply-timeout", "0.5", *arguments],
            env={**clean_environment, **identity, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return Listener(process)

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)


class Peer:
    """Stands where the server would be, and says what a test tells it to."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.port: int = self.socket.getsockname()[1]
        self.server = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.client: Any = None
        self.session = ""

    def receive(self, kind: str, timeout: float = 10) -> dict[str, Any]:
        """The next datagram of this type; others in between are dropped."""
        deadline = monotonic() + timeout
        while True:
            self.socket.settimeout(max(0.001, deadline - monotonic()))
            datagram, self.client = self.socket.recvfrom(65536)
            body = json.loads(datagram)
            assert len(datagram) <= 1200
            if body["type"] == kind:
                assert isinstance(body, dict)
                return body

    def next(self) -> dict[str, Any]:
        """The next datagram that is no repetition of SUBSCRIBE."""
        self.socket.settimeout(10)
        while (body := json.loads(self.socket.recv(65536)))["type"] == "SUBSCRIBE":
            continue
        assert isinstance(body, dict)
        return body

    def send(self, body: dict[str, object] | bytes) -> None:
        datagram = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.socket.sendto(datagram, self.client)

    def challenge(self, cookie: str = "c-1") -> dict[str, Any]:
        """Ask for the proof; return the subscription that has it, which is checked."""
        body: dict[str, Any] = {}
        while body.get("cookie") != cookie:
            self.send({"type": "CHALLENGE", "cookie": cookie})
            body = self.receive("SUBSCRIBE")
        assert body["proof"] == proof(KEY, body["user_id"], cookie, body["ack"])
        return body

    def confirm(self, session: str = "5" * 32, **more: object) -> None:
        self.session = session
        message = "Successfully subscribed to notifications"
        body = {"type": "SUBSCRIBE", "manga_id": 0, "title": "", "message": message, "ttl": 300}
        self.send({**body, "session": session, **more})

    def welcome(self, session: str = "5" * 32, **more: object) -> dict[str, Any]:
        """The whole of subscribing; returns the subscription with the proof."""
        assert self.receive("SUBSCRIBE")["cookie"] == ""
        body = self.challenge()
        self.confirm(session, **more)
        return body

    def notify(self, note_id: object, **more: object) -> None:
        self.send({**notification(note_id), "session": self.session, **more})


def notification(note_id: object, title: str = "The Tin Lantern") -> dict[str, object]:
    return {
        "type": "NEW_CHAPTER",
        "id": note_id,
        "manga_id": 7,
        "title": title,
        "message": "New chapter 181 available (was chapter 180)",
        "timestamp": "2024-05-06T07:08:09.123456Z",
        "data": {"chapter": 181},
        "changes": [{"field": "current_chapter", "old_value": 180, "new_value": 181}],
    }


@pytest.fixture
def make_peer() -> Iterator[Callable[..., Peer]]:
    """`make_peer("::1", port=…)`; closed at the end."""
    made: list[Peer] = []

    def make(host: str = "127.0.0.1", port: int = 0) -> Peer:
        made.append(Peer(host, port))
        return made[-1]

    yield make
    for peer in made:
        peer.socket.close()


@pytest.fixture
def peer(make_peer: Callable[..., Peer]) -> Peer:
    return make_peer()
