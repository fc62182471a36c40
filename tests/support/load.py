"""News in great number for the notification server, and what became of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import sql
from batch.config import load
from batch.delivery import relay
from mangahub.env import Env
from tests.support.hub import Hub, rows
from tests.support.readers import Readers
from tests.support.waiting import wait_until


class _NoStop:
    """A delivery without interruption."""

    def check(self) -> None:
        return None

    def wait(self, seconds: float) -> None:
        return None


@contextmanager
def delivering(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What timers do, without their pauses: delivers what is owed, one event a POST."""
    monkeypatch.setattr(relay, "MAX_EVENTS", 1)
    # Records that pytest keeps would keep broken connections, with their sockets.
    monkeypatch.setattr(relay.log, "disabled", True)
    stop = threading.Event()
    config, url = load(Env(hub.env)), hub.env["DATABASE_URL"]

    def deliver() -> None:
        while not stop.wait(0.05):
            try:
                with sql.connect(url) as connection, sql.translated():
                    relay.deliver_owed(connection, config, _NoStop(), everything=True)
            except sql.DatabaseDown:
                continue

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def add_users(url: str, number: int) -> None:
    with sql.connect(url) as connection:
        connection.execute(
            "INSERT INTO users (username) SELECT 'reader-' || n FROM generate_series(1, %s) n",
            [number],
        )


def owe_events(url: str, number: int, prefix: str = "event") -> None:
    """Events of one new title, in the outbox."""
    with sql.connect(url) as connection:
        connection.execute(
            "INSERT INTO manga (slug, title) VALUES ('tale', 'Tale') ON CONFLICT DO NOTHING"
        )
        connection.execute(
            "INSERT INTO notification_events (type, manga_id, payload, dedup_key) SELECT"
            " 'new-manga', m.id, jsonb_build_object('manga_id', m.id, 'title', 'Tale ' || n),"
            " %s || n FROM manga m, generate_series(1, %s) n ORDER BY n",
            [f"{prefix}-", number],
        )


def count(url: str, query: str) -> int:
    return int(rows(url, f"SELECT count(*) FROM {query}")[0][0])


def wait_for_receipts(url: str, number: int) -> None:
    wait_until(lambda: count(url, "notification_receipts") >= number, 20)


def check_all_is_told(url: str, readers: Readers, events: int) -> None:
    """One row an event and reader; each of them was heard by him, and is marked so."""
    pairs = events * len(readers.all)
    wait_until(lambda: not count(url, "notification_events WHERE accepted_at IS NULL"))
    assert count(url, "notifications") == pairs
    assert count(url, "(SELECT DISTINCT event_id, user_id FROM notifications) d") == pairs
    for reader in readers.all:
        own = rows(url, f"SELECT id FROM notifications WHERE user_id = '{reader.user_id}'")
        assert {message["id"] for message in reader.heard} == {row[0] for row in own}
    check_all_is_read(url)


def check_all_is_read(url: str) -> None:
    wait_until(lambda: not count(url, "notifications WHERE read IS NOT TRUE"))
    assert not count(url, "notifications WHERE delivered_at IS NULL")
