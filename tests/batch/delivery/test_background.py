"""The relay of a run: each commit's events are on their way before the run has ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import sql
from batch.config import load
from batch.delivery.background import BackgroundRelay
from batch.models import OutboxEvent
from batch.store.outbox import add_events
from mangahub.env import Env
from sql.state.backlog import read_backlog
from tests.support.waiting import wait_until


class Receiver(HTTPServer):
    """Takes every event, and remembers its id."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.taken: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Take(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"]
        self.server.taken += [event["event_id"] for event in events]
        self.send_response(202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        return None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def start(url: str, database_url: str, folder: Path) -> BackgroundRelay:
    config = load(Env({"UDP_SERVER_URL": url, "MANGAHUB_DATA": str(folder)}))
    return BackgroundRelay(config, database_url)


def commit(connection: sql.Connection, number: int) -> None:
    with connection.transaction():
        add_events(connection, [OutboxEvent("new-manga", 1, f"news:{number}", {"manga_id": 1})])


@pytest.fixture
def titled(connection: sql.Connection) -> sql.Connection:
    connection.execute("INSERT INTO manga (id, slug, title) VALUES (1, 'a', 'A')")
    return connection


def test_every_commit_is_delivered_at_once_also_while_a_delivery_is_under_way(
    titled: sql.Connection, database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    relay = start(receiver.url, database_url, tmp_path)
    try:
        for number in range(200):
            commit(titled, number)
            if number % 10 == 9:
                wait_until(lambda: read_backlog(titled).count == 0)
    finally:
        relay.finish()
    assert receiver.taken == [f"news:{number}" for number in range(200)]


def test_a_server_that_is_down_is_tried_once_and_the_relay_still_ends(
    titled: sql.Connection, database_url: str, tmp_path: Path
) -> None:
    relay = start("http://127.0.0.1:9", database_url, tmp_path)
    tried = "SELECT max(attempts) FROM notification_events"

    def commit_and_look() -> bool:
        commit(titled, 1)
        return titled.execute(tried).fetchone() == (1,)

    wait_until(commit_and_look)
    relay.finish()
    courier_is_gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%relay'"
    wait_until(lambda: titled.execute(courier_is_gone).fetchone() == (0,))
    assert read_backlog(titled).count == 1
