"""`retention` deletes old rows that are no longer needed, and delays no other program."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

import sql
from batch.errors import LockHeld, Stopped
from batch.models import OutboxEvent
from batch.rules import events
from batch.stop import SignalStop
from batch.store import outbox, retention
from notify_server.events.validation import parse_event
from notify_server.store import notifications
from tests.support.titles import a_title

Run = Callable[..., Any]
TITLE = uuid.UUID("00000000-0000-4000-8000-000000000001")
VERSION = 7  # of the title as it is stored


@pytest.fixture
def stop() -> Iterator[SignalStop]:
    with closing(SignalStop()) as made:
        yield made


@pytest.fixture
def user(connection: sql.Connection) -> uuid.UUID:
    row = connection.execute("INSERT INTO users (username) VALUES ('mio') RETURNING id").fetchone()
    assert row
    return uuid.UUID(str(row[0]))


@pytest.fixture
def manga_id(connection: sql.Connection) -> int:
    row = connection.execute(
        "INSERT INTO manga (title, mangadex_id, mangadex_version) VALUES ('Snow', %s, %s)"
        " RETURNING id",
        [TITLE, VERSION],
    ).fetchone()
    assert row
    return int(row[0])


def column(connection: sql.Connection, query: str) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode()).fetchall()]


def delete(connection: sql.Connection, days: int, stop: SignalStop) -> dict[str, int]:
    """Delete, and check that the dry run was right."""
    told = retention.count_old(connection, days)
    done: dict[str, int] = {}
    retention.delete_old(connection, days, stop, done)
    assert done == told
    return done


def add_notification(
    connection: sql.Connection, user: uuid.UUID, name: str, read: bool | None, age: str | None
) -> None:
    connection.execute(
        "INSERT INTO notifications (user_id, message, read, created_at)"
        " VALUES (%s, %s, %s, now() - %s::interval)",
        [user, name, read, age],
    )


def test_only_old_read_notifications_go(
    connection: sql.Connection, user: uuid.UUID, stop: SignalStop
) -> None:
    add_notification(connection, user, "old and read", True, "11 days")
    add_notification(connection, user, "read", True, "9 days")
    add_notification(connection, user, "old", False, "400 days")
    add_notification(connection, user, "old, of another program", None, "400 days")
    add_notification(connection, user, "without a date", True, None)
    add_notification(connection, user, "old, delivered late", True, "400 days")
    connection.execute(
        "UPDATE notifications SET delivered_at = now() - interval '1 day'"
        " WHERE message = 'old, delivered late'"
    )
    assert delete(connection, 10, stop)["notifications"] == 1
    left = column(connection, "SELECT message FROM notifications ORDER BY id")
    assert left == [
        "read",
        "old",
        "old, of another program",
        "without a date",
        "old, delivered late",
    ]


def add_event(connection: sql.Connection, manga_id: int, key: str, accepted: str | None) -> None:
    event = OutboxEvent(
        key.partition(":")[0], manga_id, key, {"manga_id": manga_id, "title": "Snow"}
    )
    outbox.add_events(connection, [event])
    connection.execute(
        "UPDATE notification_events SET created_at = now() - interval '400 days',"
        " accepted_at = now() - %s::interval WHERE dedup_key = %s",
        [accepted, key],
    )


def add_receipt(connection: sql.Connection, key: str, age: str) -> None:
    connection.execute(
        "INSERT INTO notification_receipts (event_id, type, received_at)"
        " VALUES (%s, 'x', now() - %s::interval)",
        [key, age],
    )


@pytest.mark.parametrize(
    ("key", "accepted", "is_deleted"),
    [
        ("new-chapter:a:en::1", "31 days", True),
        ("new-chapter:a:en::1", "29 days", False),
        ("new-chapter:a:en::1", None, False),
        ("new-manga:a", "31 days", True),
        (f"manga-update:{TITLE}:{VERSION - 1}:digest", "31 days", True),
        (f"manga-update:{TITLE}:{VERSION}:digest", "31 days", False),
        (f"manga-update:{TITLE}:what:digest", "31 days", False),
        ("manga-update", "31 days", False),
    ],
)
@pytest.mark.parametrize("days", [1, 30])
def test_an_event_and_its_receipt_go_when_nothing_can_repeat_them(
    connection: sql.Connection,
    manga_id: int,
    stop: SignalStop,
    key: str,
    accepted: str | None,
    is_deleted: bool,
    days: int,
) -> None:
    add_event(connection, manga_id, key, accepted)
    add_receipt(connection, key, "399 days")
    done = delete(connection, days, stop)
    assert (done["events"], done["receipts"]) == (is_deleted, is_deleted)


def test_receipts_of_other_programs_go_after_a_month_at_least(
    connection: sql.Connection, stop: SignalStop
) -> None:
    add_receipt(connection, "old", "31 days")
    add_receipt(connection, "young", "29 days")
    assert delete(connection, 1, stop)["receipts"] == 1
    assert column(connection, "SELECT event_id FROM notification_receipts") == ["young"]


def test_what_the_relay_sends_again_after_weeks_is_still_known(
    connection: sql.Connection, user: uuid.UUID, manga_id: int, stop: SignalStop
) -> None:
    """The server stored it, the batch never heard so, and retention ran in between."""
    event = events.manga_event(manga_id, a_title(title="Snow"))
    outbox.add_events(connection, [event])
    posted = parse_event("new-manga", event.payload, event.dedup_key)
    stored = notifications.store_event(connection, posted)
    assert stored.outcome is notifications.EventOutcome.STORED
    for table, name in (("notification_receipts", "received_at"), ("notifications", "created_at")):
        connection.execute(f"UPDATE {table} SET {name} = now() - interval '90 days'".encode())
    connection.execute("UPDATE notifications SET read = true")
    assert delete(connection, 1, stop) == {
        "notifications": 1,
        "events": 0,
        "receipts": 0,
        "changes": 0,
    }
    repeated = notifications.store_event(connection, posted)
    assert repeated.outcome is notifications.EventOutcome.REPEATED
    assert column(connection, "SELECT count(*) FROM notifications") == [0]


def test_an_update_that_comes_again_in_the_same_version_is_announced_once(
    connection: sql.Connection, manga_id: int, stop: SignalStop
) -> None:
    key = f"manga-update:{TITLE}:{VERSION}:digest"
    add_event(connection, manga_id, key, "90 days")
    delete(connection, 1, stop)
    assert outbox.add_events(connection, [OutboxEvent("manga-update", manga_id, key, {})]) == 0


# --- never in the way --------------------------------------------------------------------------


def test_it_goes_portion_by_portion_whatever_the_keys(
    connection: sql.Connection, user: uuid.UUID, stop: SignalStop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 3)
    for number in range(10):
        add_notification(connection, user, "old", number % 3 != 0, "40 days")
    connection.execute("UPDATE notifications SET id = id * 1000000000000 WHERE id > 5")
    connection.execute("UPDATE notifications SET id = -7 WHERE id = 2")
    assert delete(connection, 10, stop)["notifications"] == 6
    assert column(connection, "SELECT count(*) FROM notifications WHERE read") == [0]


def test_a_locked_row_is_left_and_a_locked_table_ends_it(
    connection: sql.Connection, database_url: str, user: uuid.UUID, stop: SignalStop
) -> None:
    add_notification(connection, user, "first", True, "40 days")
    add_notification(connection, user, "second", True, "40 days")
    done: dict[str, int] = {}
    with sql.connect(database_url) as other:
        with other.transaction():
            other.execute("SELECT FROM notifications WHERE message = 'first' FOR UPDATE")
            retention.delete_old(connection, 10, stop, done)
            assert done["notifications"] == 1
        with other.transaction():
            other.execute("LOCK TABLE notification_events")
            with pytest.raises(LockHeld, match="notification_events"):
                retention.delete_old(connection, 10, stop, done)
    assert column(connection, "SELECT count(*) FROM notifications") == [0]


def test_a_signal_ends_it_and_what_is_done_stays_done(
    connection: sql.Connection, user: uuid.UUID, stop: SignalStop
) -> None:
    add_notification(connection, user, "old", True, "40 days")
    stop._handle(15, None)
    done: dict[str, int] = {}
    with pytest.raises(Stopped):
        retention.delete_old(connection, 10, stop, done)
    assert done == {"notifications": 0}


# --- the real program --------------------------------------------------------------------------


def test_it_is_off_unless_a_number_of_days_is_given(run_batch: Run, database_url: str) -> None:
    done = run_batch("retention", "--json", env={"DATABASE_URL": database_url})
    assert done.code == 0
    assert (done.json["status"], done.json["days"]) == ("skipped", None)
    text = run_batch("retention", env={"DATABASE_URL": database_url}).stdout
    assert "MANGAHUB_RETENTION_DAYS" in text


def test_the_days_come_from_the_environment_and_the_option_wins(
    run_batch: Run, connection: sql.Connection, database_url: str, user: uuid.UUID
) -> None:
    add_notification(connection, user, "old", True, "40 days")
    env = {"DATABASE_URL": database_url, "MANGAHUB_RETENTION_DAYS": "50"}
    assert run_batch("retention", "--json", env=env).json["notifications"] == 0
    done = run_batch("retention", "--days", "30", "--dry-run", "--json", env=env)
    assert (done.json["notifications"], done.json["dry_run"]) == (1, True)
    assert column(connection, "SELECT count(*) FROM notifications") == [1]
    done = run_batch("retention", "--days", "30", env=env)
    assert done.stdout == "1 notifications, 0 events, 0 receipts, 0 changes deleted\n"
    assert column(connection, "SELECT count(*) FROM notifications") == [0]


def test_two_at_once_are_one(run_batch: Run, connection: sql.Connection, database_url: str) -> None:
    from batch.store.locks import take_lock

    take_lock(connection, "retention")
    done = run_batch("retention", "--days", "1", "--json", env={"DATABASE_URL": database_url})
    assert done.code == 75
    assert json.loads(done.stdout)["status"] == "error"


@pytest.mark.parametrize("days", ["0", "-1", "soon", "36501"])
def test_days_that_make_no_sense_are_refused(run_batch: Run, days: str) -> None:
    assert run_batch("retention", "--days", days).code == 2
    done = run_batch("retention", env={"MANGAHUB_RETENTION_DAYS": days})
    assert done.code == 2
    assert "MANGAHUB_RETENTION_DAYS" in done.stderr
