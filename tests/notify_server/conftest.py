"""The server's tests: the real program or its real parts, an independent client, a real database.

The client speaks the protocol by itself; it shares no code with the server.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import psycopg
import pytest
import requests

import sql
from mangahub.env import Env
from notify_server import config
from notify_server.server import NotifyServer

SECRET = "a secret for tests, long enough"
Database = psycopg.Connection[tuple[Any, ...]]


def derive(server_secret: str, user_id: str, generation: int = 0) -> str:
    text = f"key|{user_id}|{generation}".encode()
    return hmac.new(server_secret.encode(), text, hashlib.sha256).hexdigest()


class UdpClient:
    """One socket that subscribes as one user."""

    def __init__(self, server: tuple[str, int], user_id: str, bind: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(("::1" if family == socket.AF_INET6 else bind, 0))
        self.server = server
        self.user_id = user_id
        self.key = derive(SECRET, user_id)
        self.session: str | None = None

    def close(self) -> None:
        self.socket.close()

    def send(self, message: object) -> None:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.socket.sendto(body, self.server)

    def receive(self, timeout: float = 5.0) -> dict[str, Any]:
        self.socket.settimeout(timeout)
        datagram = self.socket.recv(65536)
        assert len(datagram) <= 1200
        body = json.loads(datagram)
        assert isinstance(body, dict)
        return body

    def receive_type(self, kind: str, timeout: float = 5.0) -> dict[str, Any]:
        """The next datagram of this type; others in between are dropped."""
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

    def cookie(self) -> str:
        self.send({"type": "SUBSCRIBE", "user_id": self.user_id, "cookie": ""})
        return str(self.receive_type("CHALLENGE")["cookie"])

    def proof(self, cookie: str, ack: bool) -> str:
        text = f"subscribe|{self.user_id}|{int(ack)}|{cookie}".encode()
        return hmac.new(self.key.encode(), text, hashlib.sha256).hexdigest()

    def request(self, cookie: str, ack: bool = True) -> dict[str, object]:
        proof = self.proof(cookie, ack)
        body = {"type": "SUBSCRIBE", "user_id": self.user_id, "cookie": cookie, "proof": proof}
        return body | ({"ack": True} if ack else {})

    def subscribe(self, ack: bool = True) -> dict[str, Any]:
        """All three steps; returns the confirmation."""
        self.send(self.request(self.cookie(), ack))
        confirmation = self.receive_type("SUBSCRIBE")
        self.session = confirmation["session"]
        return confirmation

    def ack(self, *ids: int) -> None:
        self.send({"type": "ACK", "session": self.session, "ids": list(ids)})

    def ping(self) -> None:
        self.send({"type": "PING", "session": self.session, "user_id": self.user_id})

    def read(self, count: int, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Receives and acknowledges so many notifications."""
        found: list[dict[str, Any]] = []
        deadline = monotonic() + timeout
        while len(found) < count:
            body = self.receive(max(0.01, deadline - monotonic()))
            if "id" in body:
                self.ack(body["id"])
                found.append(body)
        return found


class Server:
    """A running server as its clients see it."""

    def __init__(self, http: str, udp: str) -> None:
        self.http = f"http://{http}"
        host, _, port = udp.rpartition(":")
        self.udp = host.strip("[]"), int(port)

    def post(self, kind: str, body: object, **kwargs: Any) -> requests.Response:
        return requests.post(f"{self.http}/notify/{kind}", json=body, timeout=10, **kwargs)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return requests.get(f"{self.http}{path}", timeout=10, **kwargs)

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").text.splitlines()
        return next(float(x.split()[-1]) for x in lines if x.startswith(f"mangahub_notify_{name} "))


class Program(Server):
    """The same as a program of its own."""

    def __init__(self, process: subprocess.Popen[str], http: str, udp: str) -> None:
        super().__init__(http, udp)
        self.process = process


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    """The environment of a server on ports of its own."""
    return {
        "DATABASE_URL": database_url,
        "NOTIFY_SECRET": SECRET,
        "UDP_PORT": "0",
        "UDP_HTTP_PORT": "0",
    }


@pytest.fixture
def start_program_server(
    start_program: Callable[..., Any], settings: dict[str, str]
) -> Callable[..., Program]:
    """`start_program_server({"NOTIFY_BIND": "::1"})` → the real program, listening."""

    def start(env: dict[str, str] | None = None) -> Program:
        process = start_program("notify_server", "serve", env={**settings, **(env or {})})
        line = process.stdout.readline()
        assert line.startswith("listening http="), process.communicate(timeout=10)[1]
        fields = dict(part.split("=") for part in line.split()[1:])
        return Program(process, fields["http"], fields["udp"])

    return start


@pytest.fixture
def start_server(settings: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """`start_server({"NOTIFY_LEGACY_CLIENTS": "any"})` → a server in this process."""
    started: list[NotifyServer] = []

    def start(env: dict[str, str] | None = None) -> Server:
        variables = Env({**settings, **(env or {})})
        server = NotifyServer(config.load(variables), SECRET)
        started.append(server)
        server.start(lambda: sql.database_url(variables))
        return Server(server.http_address, server.udp_address)

    yield start
    for server in started:
        server.stop(drain_s=0)
        assert server.failure is None


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server()


@pytest.fixture
def make_client() -> Iterator[Callable[..., UdpClient]]:
    """`make_client(server, user_id)`; closed at the end."""
    made: list[UdpClient] = []

    def make(server: Server, user_id: str, **kwargs: Any) -> UdpClient:
        client = UdpClient(server.udp, user_id, **kwargs)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def make_user(connection: Database) -> Callable[..., str]:
    """Adds a user and returns his id."""

    def make(name: str | None = None) -> str:
        user_id = str(uuid.uuid4())
        username = name or user_id
        connection.execute(
            "INSERT INTO users (id, username, email) VALUES (%s, %s, %s)",
            (user_id, username, f"{username}@example.org"),
        )
        return user_id

    return make


@pytest.fixture
def make_manga(connection: Database) -> Callable[..., int]:
    """Adds a title, with its readers, and returns its id."""

    def make(title: str = "A Title", readers: tuple[str, ...] = ()) -> int:
        row = connection.execute(
            "INSERT INTO manga (slug, title) VALUES (%s, %s) RETURNING id",
            (str(uuid.uuid4()), title),
        ).fetchone()
        assert row is not None
        for reader in readers:
            connection.execute(
                "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", (reader, row[0])
            )
        return int(row[0])

    return make
