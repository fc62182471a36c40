"""Rows of `sync_state`: what a run leaves for the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import sql
from batch.errors import BatchError
from batch.models import Rejected
from batch.store import sync_state
from tests.support.waiting import wait_until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
POLL = "new_manga_poll"


@pytest.mark.parametrize("sync_type", ["initial_sync", POLL, "chapter_feed", "a_new_one"])
def test_a_workflow_that_never_ran_is_idle(connection: sql.Connection, sync_type: str) -> None:
    row = sync_state.read(connection, sync_type)
    assert row == sync_state.SyncState(sync_type, None, None, None, "idle", None, {})


def test_all_workflows_are_read_in_their_order(connection: sql.Connection) -> None:
    sync_state.begin(connection, "a_new_one", NOW)
    names = [row.sync_type for row in sync_state.read_all(connection)]
    assert names[0] == "initial_sync"
    assert names[-1] == "a_new_one"
    assert len(names) == 6


def test_a_run_is_recorded_from_its_beginning_to_its_end(connection: sql.Connection) -> None:
    sync_state.begin(connection, POLL, NOW)
    running = sync_state.read(connection, POLL)
    assert (running.status, running.last_run_at, running.last_success_at) == ("running", NOW, None)
    sync_state.finish(connection, POLL, "completed", None, last_run={"manga_new": 3})
    ended = sync_state.read(connection, POLL)
    assert (ended.status, ended.error_message) == ("completed", None)
    assert ended.last_success_at is not None
    assert ended.metadata == {"last_run": {"manga_new": 3}}


@pytest.mark.parametrize(("status", "error"), [("error", "it broke"), ("idle", "stopped")])
def test_a_run_that_fails_is_no_success(
    connection: sql.Connection, status: str, error: str
) -> None:
    sync_state.begin(connection, POLL, NOW)
    sync_state.finish(connection, POLL, "completed", None)
    success = sync_state.read(connection, POLL).last_success_at
    sync_state.begin(connection, POLL, LATER)
    sync_state.finish(connection, POLL, status, error)
    row = sync_state.read(connection, POLL)
    assert (row.status, row.error_message, row.last_success_at) == (status, error, success)
    sync_state.begin(connection, POLL, LATER)
    assert sync_state.read(connection, POLL).error_message is None


def test_the_first_run_of_an_unknown_workflow_makes_its_row(connection: sql.Connection) -> None:
    sync_state.begin(connection, "a_new_one", NOW)
    assert sync_state.read(connection, "a_new_one").status == "running"


def test_the_cursor_moves_and_facts_are_merged(connection: sql.Connection) -> None:
    sync_state.move_cursor(connection, POLL, "one", started_at="then", count=1)
    sync_state.move_cursor(connection, POLL, "two", count=2)
    sync_state.begin(connection, POLL, NOW)
    row = sync_state.read(connection, POLL)
    assert (row.last_cursor, row.metadata) == ("two", {"started_at": "then", "count": 2})
    sync_state.move_cursor(connection, POLL, None)
    assert sync_state.read(connection, POLL).last_cursor is None


def test_a_cursor_moves_with_the_transaction_it_belongs_to(connection: sql.Connection) -> None:
    with pytest.raises(ZeroDivisionError), connection.transaction():
        sync_state.move_cursor(connection, POLL, "never")
        _ = 1 / 0
    assert sync_state.read(connection, POLL).last_cursor is None


@pytest.mark.parametrize("left", ["NULL", "'null'", "'[]'", "'[1]'", "'\"text\"'", "'7'"])
def test_metadata_that_is_no_object_is_as_good_as_none(
    connection: sql.Connection, left: str
) -> None:
    connection.execute(f"UPDATE sync_state SET metadata = {left}".encode())
    assert sync_state.read(connection, POLL).metadata == {}
    sync_state.record_rejected(connection, POLL, [Rejected("x", "why")], NOW)
    assert sync_state.rejected_ids(connection, POLL) == ["x"]
    writes: list[Callable[[], None]] = [
        lambda: sync_state.move_cursor(connection, POLL, "c", key=1),
        lambda: sync_state.finish(connection, POLL, "completed", None, key=1),
    ]
    for write in writes:
        connection.execute(f"UPDATE sync_state SET metadata = {left}".encode())
        write()
        assert sync_state.read(connection, POLL).metadata == {"key": 1}


# --- what could not be stored ------------------------------------------------------------------


def rejected(connection: sql.Connection) -> dict[str, dict[str, Any]]:
    return sync_state.rejected_in(sync_state.read(connection, POLL).metadata)


def test_a_failure_is_remembered_with_reason_times_and_attempts(
    connection: sql.Connection,
) -> None:
    sync_state.record_rejected(
        connection, POLL, [Rejected("x", "too long"), Rejected("y", "no")], NOW
    )
    sync_state.record_rejected(connection, POLL, [Rejected("x", "still too long")], LATER)
    assert rejected(connection) == {
        "x": {
            "reason": "still too long",
            "first_at": NOW.isoformat(),
            "last_at": LATER.isoformat(),
            "attempts": 2,
        },
        "y": {
            "reason": "no",
            "first_at": NOW.isoformat(),
            "last_at": NOW.isoformat(),
            "attempts": 1,
        },
    }


def test_what_was_stored_after_all_is_forgotten(connection: sql.Connection) -> None:
    sync_state.record_rejected(connection, POLL, [Rejected("x", "no"), Rejected("y", "no")], NOW)
    sync_state.clear_rejected(connection, POLL, ["x", "never failed"])
    assert sync_state.rejected_ids(connection, POLL) == ["y"]
    sync_state.clear_rejected(connection, POLL, [])
    assert sync_state.rejected_ids(connection, POLL) == ["y"]


def test_other_facts_survive_failures(connection: sql.Connection) -> None:
    sync_state.move_cursor(connection, POLL, None, covered={"all": True})
    sync_state.record_rejected(connection, POLL, [Rejected("x", "no")], NOW)
    sync_state.clear_rejected(connection, POLL, ["x"])
    metadata = sync_state.read(connection, POLL).metadata
    assert metadata == {"covered": {"all": True}, "rejected": {}}


def test_a_long_reason_is_cut_and_nothing_is_recorded_for_nothing(
    connection: sql.Connection,
) -> None:
    sync_state.record_rejected(connection, POLL, [], NOW)
    assert sync_state.read(connection, POLL).metadata == {}
    sync_state.record_rejected(connection, POLL, [Rejected("x", "塩" * 10_000)], NOW)
    assert rejected(connection)["x"]["reason"] == "塩" * 300


@pytest.mark.parametrize("other", [["x"], {"x": "text"}, {"x": {"attempts": "many"}}, "x", 5])
def test_what_another_program_keeps_under_the_same_name_does_no_harm(
    connection: sql.Connection, other: object
) -> None:
    sync_state.move_cursor(connection, POLL, None, rejected=other)
    sync_state.clear_rejected(connection, POLL, ["z"])
    sync_state.record_rejected(connection, POLL, [Rejected("x", "no")], NOW)
    assert rejected(connection)["x"]["attempts"] == 1


def test_failures_of_two_workers_at_once_are_both_remembered(
    connection: sql.Connection, database_url: str
) -> None:
    def record_second() -> None:
        with sql.connect(database_url, "second") as second:
            sync_state.record_rejected(
                second, POLL, [Rejected("y", "no"), Rejected("z", "no")], NOW
            )

    sync_state.record_rejected(connection, POLL, [Rejected("z", "no")], NOW)
    thread = threading.Thread(target=record_second)
    with sql.connect(database_url) as first:
        with first.transaction():
            sync_state.record_rejected(first, POLL, [Rejected("x", "no"), Rejected("z", "no")], NOW)
            thread.start()
            waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'second'"
            wait_until(
                lambda: connection.execute(
                    f"{waiting} AND wait_event_type = 'Lock'".encode()
                ).fetchone()
            )
        thread.join(10)
    assert {key: why["attempts"] for key, why in rejected(connection).items()} == {
        "x": 1,
        "y": 1,
        "z": 3,
    }


@pytest.mark.parametrize(
    ("attempts", "gap"),
    [
        (1, timedelta(0)),
        (2, timedelta(0)),
        (3, timedelta(hours=1)),
        (4, timedelta(hours=2)),
        (10, timedelta(hours=128)),
        (11, timedelta(days=7)),
        (1000, timedelta(days=7)),
    ],
)
def test_what_keeps_failing_is_tried_less_often_and_never_given_up(
    connection: sql.Connection, attempts: int, gap: timedelta
) -> None:
    now = datetime.now(UTC)
    for _ in range(min(attempts, 12)):
        sync_state.record_rejected(connection, "initial_sync", [Rejected("a", "odd")], now)
    assert sync_state.due_rejected(connection, "initial_sync", now + gap) == ["a"]
    just_before = now + gap - timedelta(seconds=1)
    expected = ["a"] if gap == timedelta(0) else []
    assert sync_state.due_rejected(connection, "initial_sync", just_before) == expected


def test_a_flood_of_failures_is_no_matter_of_single_titles(
    connection: sql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_state, "MAX_REJECTED", 2)
    now = datetime.now(UTC)
    many = [Rejected(str(number), "odd") for number in range(3)]
    with pytest.raises(BatchError, match="more than 2 entities cannot be stored"):
        sync_state.record_rejected(connection, "initial_sync", many, now)
    assert sync_state.rejected_ids(connection, "initial_sync") == []
