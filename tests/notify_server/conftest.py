"""The server's tests: the real program or its real parts, UDP clients, a real database."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import requests

import sql
from mangahub.env import Env
from notify_server import config
from notify_server.server import NotifyServer
from notify_server.udp import retries
from tests.support.udp_client import UdpClient, sign

SECRET = "a secret for tests, long enough"
Database = psycopg.Connection[tuple[Any, ...]]


def derive(server_secret: str, user_id: str, generation: int = 0) -> str:
    return sign(server_secret, f"key|{user_id}|{generation}")


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
def retry_offsets_s() -> tuple[float, float, float]:
    """When the server in this process sends again: so late that no busy test is a slow client."""
    return 60.0, 180.0, 420.0


@pytest.fixture
def start_server(
    settings: dict[str, str],
    retry_offsets_s: tuple[float, float, float],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Server]]:
    """`start_server({"NOTIFY_LEGACY_CLIENTS": "any"})` → a server in this process."""
    monkeypatch.setattr(retries, "OFFSETS_S", retry_offsets_s)
    monkeypatch.setattr(retries, "GIVE_UP_S", 900.0)
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
        client = UdpClient(server.udp, user_id, derive(SECRET, user_id), **kwargs)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def make_user(connection: Database) -> Callable[..., str]:
    """Add a user and return his id."""

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
    """Add a title, with its readers, and return its id."""

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
