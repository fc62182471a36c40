"""A stream server in a thread of the test, over a real database with readers and a title."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

import sql
from mangahub.sockets import listening
from notify_server.events.validation import parse_event
from notify_server.store.notifications import store_event
from readers import users
from tests.website.streams.client import Client
from website.security.tickets import Ticket, make_ticket
from website.streams.server import StreamServer, StreamSettings

SECRET = "a secret of the tests"
ORIGIN = "http://pages.test"


class Running:
    """A server, to be stopped and started again on the same port."""

    def __init__(
        self,
        database_url: str,
        port: int = 0,
        proxies: int = 0,
        secret: str = SECRET,
        origin: str = ORIGIN,
        sock: socket.socket | None = None,
    ) -> None:
        self._settings = StreamSettings(
            secret=secret,
            origin=origin,
            proxies=proxies,
            database_url=database_url,
            look_at_health=self._look_at_health,
            find_reader=lambda secret: self.private.get(secret),
        )
        self.health = b'{"ok":true,"problems":[]}'
        self.private: dict[str, UUID] = {}
        sock = sock or listening(socket.SOCK_STREAM, "127.0.0.1", port)
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self.server = StreamServer(self._settings)
        self.loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(sock,), name="streams")
        self._thread.start()

    def _look_at_health(self) -> bytes:
        if not self.health:
            raise ValueError("it cannot be looked at")
        return self.health

    def _run(self, sock: socket.socket) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.server.run(sock, self._stop))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            assert not self._thread.is_alive()


@dataclass
class Scene:
    """A database with a title, and what a test does with it."""

    url: str
    connection: sql.Connection
    stack: ExitStack
    manga_id: int
    port: int = 0
    servers: list[Running] = field(default_factory=list)

    def serve(self, proxies: int = 0) -> Running:
        server = Running(self.url, self.port, proxies)
        self.port = server.address[1]
        self.stack.callback(server.stop)
        self.servers.append(server)
        return server

    def add_reader(self, name: str) -> UUID:
        user = users.add_user(self.connection, name, None, None)
        self.connection.execute(
            "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)",
            [user.id, self.manga_id],
        )
        return user.id

    def publish(self, chapter: int, event_id: str = "") -> str:
        """Store an event as the notification server does."""
        return publish(self.connection, self.manga_id, chapter, event_id)

    def open(
        self, reader: UUID | None = None, last: str = "", is_operator: bool = False, **how: Any
    ) -> Client:
        """Open a stream by a ticket; further arguments are those of `Client`."""
        ticket = make_ticket(SECRET, Ticket(reader, is_operator), time.time())
        headers = how.pop("headers", {}) | ({"Last-Event-ID": last} if last else {})
        return self.connect(f"/events?ticket={ticket}", headers=headers, **how)

    def connect(self, target: str, **how: Any) -> Client:
        client = Client(("127.0.0.1", self.port), target, **how)
        self.stack.callback(client.close)
        return client


def publish(connection: sql.Connection, manga_id: int, chapter: int, event_id: str = "") -> str:
    body: dict[str, object] = {"manga_id": manga_id, "title": "Blue Lantern", "chapter": chapter}
    body["language"] = "en"
    event = parse_event("new-chapter", body, event_id or str(uuid4()))
    store_event(connection, event)
    return event.event_id


@pytest.fixture
def make_scene(database_url: str) -> Iterator[Callable[[str], Scene]]:
    with ExitStack() as stack:

        def make(url: str) -> Scene:
            connection = stack.enter_context(sql.connect(url, "mangahub-tests"))
            row = connection.execute(
                "INSERT INTO manga (slug, title) VALUES ('lantern', 'Blue Lantern') RETURNING id"
            ).fetchone()
            assert row is not None
            return Scene(url, connection, stack, row[0])

        yield make


@pytest.fixture
def scene(make_scene: Callable[[str], Scene], database_url: str) -> Scene:
    made = make_scene(database_url)
    made.serve()
    return made
