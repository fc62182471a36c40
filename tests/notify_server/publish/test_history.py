"""A database that has lost commits, as after a failover or a restore, is noticed at reconnect."""

from __future__ import annotations

import logging
import subprocess
import uuid
from typing import Any

import pytest

import sql
from notify_server.store import receipts
from sql import embedded
from tests.support.databases import OwnDatabase
from tests.support.waiting import wait_until

RECEIPT = "INSERT INTO notification_receipts (event_id, type) VALUES (%s, 'new-manga')"
NOTIFICATION = "INSERT INTO notifications (message) VALUES ('x') RETURNING id"


class Standby:
    """The files of a database as they were at some moment; afterwards it is what answers."""

    def __init__(self, database: OwnDatabase) -> None:
        self._database = database
        self._files = embedded.places(database.home).cluster
        self._copy = self._files.with_name("standby")
        database.stop()
        subprocess.run(["cp", "-a", str(self._files), str(self._copy)], check=True)
        database.start()

    def take_over(self) -> None:
        self._database.crash()
        subprocess.run(["rm", "-r", str(self._files)], check=True)
        self._copy.rename(self._files)
        self._database.start()


@pytest.fixture
def reader(own_database: OwnDatabase) -> str:
    """A user of a database that has a title with the id 1."""
    user = str(uuid.uuid4())
    own_database.execute("INSERT INTO users (id, username) VALUES (%s, 'u')", user)
    own_database.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    return user


def post(server: Any, event_id: str) -> int:
    body = {"manga_id": 1, "title": event_id, "event_id": event_id}
    return int(server.post("new-manga", body).status_code)


def test_after_a_failover_clients_subscribe_anew_and_no_id_is_given_twice(
    own_database: OwnDatabase, start_server: Any, make_client: Any, reader: str, caplog: Any
) -> None:
    server = start_server({"DATABASE_URL": own_database.url})
    client = make_client(server, reader)
    client.subscribe()
    assert post(server, "kept") == 202
    known = [each["id"] for each in client.read(1)]
    wait_until(lambda: own_database.execute("SELECT 1 FROM notifications WHERE read"))
    standby = Standby(own_database)
    wait_until(lambda: post(server, "lost") == 202)
    assert [post(server, f"lost {n}") for n in range(39)] == [202] * 39
    known += [each["id"] for each in client.read(40)]
    standby.take_over()
    wait_until(lambda: post(server, "new") == 202)
    client.ping()
    assert client.receive_type("CHALLENGE")
    client.subscribe()
    (news,) = client.read(1)
    assert news["title"] == "new" and news["id"] > max(known) + 1_000
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert "lost commits" in line
    assert post(server, "lost") == 202
    assert [each["title"] for each in client.read(1)] == ["lost"]


def test_a_crash_that_loses_nothing_ends_no_session(
    own_database: OwnDatabase, start_server: Any, make_client: Any, reader: str, caplog: Any
) -> None:
    server = start_server({"DATABASE_URL": own_database.url})
    client = make_client(server, reader)
    client.subscribe()
    assert post(server, "before") == 202
    client.read(1)
    own_database.crash()
    own_database.start()
    wait_until(lambda: post(server, "after") == 202)
    assert [each["title"] for each in client.read(1)] == ["after"]
    assert not [r for r in caplog.records if r.levelno == logging.ERROR]


def test_a_client_whose_snapshot_is_younger_than_the_database_gets_what_is_new(
    own_database: OwnDatabase, start_server: Any, make_client: Any, reader: str
) -> None:
    standby = Standby(own_database)
    server = start_server({"DATABASE_URL": own_database.url})
    for _ in range(50):
        own_database.execute("UPDATE manga SET title = title")
    client = make_client(server, reader)
    client.subscribe()
    standby.take_over()
    wait_until(lambda: post(server, "new") == 202)
    assert [each["title"] for each in client.read(1)] == ["new"]


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("SELECT", 0),
        ("DELETE FROM notification_receipts WHERE event_id = 'newest'", 1),
        ("DELETE FROM notification_receipts WHERE event_id = 'pushed'", 1),
        ("SELECT setval('notifications_id_seq', 1)", 1),
        ("SELECT nextval('notifications_id_seq')", 0),
    ],
    ids=["nothing", "the newest receipt", "what was pushed", "the sequence", "more than before"],
)
def test_what_is_not_there_any_more_is_lost(
    connection: sql.Connection, change: str, lost: int
) -> None:
    for event_id in ("pushed", "newest"):
        connection.execute(RECEIPT, [event_id])
    for _ in range(3):
        connection.execute(NOTIFICATION)
    before = receipts.look(connection, None)
    assert (before.newest, before.last_id) == ("newest", 3)
    connection.execute(change.encode())
    assert receipts.count_lost(connection, before, ["pushed"]) == lost


def test_a_gap_begins_above_what_was_known(connection: sql.Connection) -> None:
    connection.execute(NOTIFICATION)
    before = receipts.look(connection, None)._replace(last_id=5_000_000)
    assert receipts.leave_gap(connection, before) == 6_000_000
    assert connection.execute(NOTIFICATION).fetchone() == (6_000_001,)
