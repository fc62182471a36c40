"""Streams of the real website while what they need is killed, stopped and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

import sql
from bench.harness import family
from readers import users
from tests.support.databases import OwnDatabase
from tests.support.waiting import wait_until
from tests.website.streams.client import Client
from tests.website.streams.conftest import publish
from website.security.tickets import Ticket, make_ticket

SECRET = "a secret of the tests"


class Site:
    """A website over a database of its own, with a reader of one title."""

    def __init__(self, database: OwnDatabase, start_program: Callable[..., Any]) -> None:
        self.database = database
        env = {"NOTIFY_SECRET": SECRET, "WEB_PORT": "0", "WEB_STREAM_PORT": "0"}
        self.process: subprocess.Popen[str] = start_program("website", "serve", "--json", env=env)
        assert self.process.stdout is not None
        where = json.loads(self.process.stdout.readline())["streams"]
        self.address = where.rpartition(":")[0], int(where.rpartition(":")[2])
        with sql.connect(database.url) as connection:
            self.reader: UUID = users.add_user(connection, "anna", None, None).id
            row = connection.execute(
                "INSERT INTO manga (slug, title) VALUES ('lantern', 'Blue Lantern') RETURNING id"
            ).fetchone()
            assert row is not None
            self.manga_id = int(row[0])
            connection.execute(
                "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)",
                [self.reader, self.manga_id],
            )

    def open(self, last: str = "") -> Client:
        ticket = make_ticket(SECRET, Ticket(self.reader), time.time())
        headers = {"Last-Event-ID": last} if last else {}
        return Client(self.address, f"/events?ticket={ticket}", headers)

    def publish(self, *chapters: int) -> None:
        with sql.connect(self.database.url) as connection:
            for chapter in chapters:
                publish(connection, self.manga_id, chapter)

    @property
    def stream_process(self) -> int:
        return family(self.process.pid)[-1]


@pytest.fixture
def site(own_database: OwnDatabase, start_program: Callable[..., Any]) -> Site:
    return Site(own_database, start_program)


def heard(client: Client, count: int) -> list[int]:
    return [event.data["data"]["chapter"] for event in client.events(count)]


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_a_stream_outlives_its_database(site: Site, how: str) -> None:
    with site.open().ready() as client:
        site.publish(1)
        assert heard(client, 1) == [1]
        getattr(site.database, how)()
        site.database.start()
        site.publish(2, 3)
        client.sock.settimeout(30)
        assert heard(client, 2) == [2, 3]


def test_marks_of_an_interruption_are_told_after_it(site: Site) -> None:
    with site.open().ready() as client:
        site.publish(1)
        (event,) = client.events(1)
        site.database.stop()
        site.database.start()
        site.database.execute("UPDATE notifications SET read = true")
        client.sock.settimeout(30)
        while (told := client.events(1)[0]).kind != "read":
            pass
        assert told.data == {"ids": [event.data["id"]], "read": True, "unread": 0}


def test_the_next_stream_continues_where_a_killed_process_was(site: Site) -> None:
    with site.open().ready() as client:
        site.publish(1)
        assert heard(client, 1) == [1]
        killed = site.stream_process
        os.kill(killed, signal.SIGKILL)
        site.publish(2)
        wait_until(lambda: site.stream_process not in (killed, site.process.pid))
        last = client.last_id
    with site.open(last) as again:
        again.sock.settimeout(30)
        site.publish(3)
        assert heard(again, 2) == [2, 3]


def test_the_stop_ends_all_with_a_last_comment(site: Site) -> None:
    clients = [site.open().ready() for _ in range(5)]
    began_s = time.monotonic()
    site.process.terminate()
    assert site.process.wait(10) == 0
    assert time.monotonic() - began_s < 10
    for client in clients:
        assert client.rest().endswith(b": the server is stopping\n\n")
        client.close()


def test_streams_wait_for_a_database_that_is_away_at_first(site: Site) -> None:
    site.database.stop()
    killed = site.stream_process
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: site.stream_process not in (killed, site.process.pid))
    with site.open() as client:
        assert client.status == 200
        site.database.start()
        client.sock.settimeout(30)
        client.ready()
        site.publish(1)
        assert heard(client, 1) == [1]
