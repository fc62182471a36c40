"""Rows of `sync_state`: what a run leaves for the next one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

import sql
from batch.models import Rejected
from batch.store import rejections, sync_state
from sql.state import workflows

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
POLL = "new_manga_poll"


@pytest.mark.parametrize("sync_type", ["initial_sync", POLL, "chapter_feed", "a_new_one"])
def test_a_workflow_that_never_ran_is_idle(connection: sql.Connection, sync_type: str) -> None:
    row = sync_state.read(connection, sync_type)
    assert row == workflows.SyncState(sync_type, None, None, None, "idle", None, {})


def test_all_workflows_are_read_in_their_order(connection: sql.Connection) -> None:
    sync_state.begin(connection, "a_new_one", NOW)
    names = [row.sync_type for row in workflows.read_all(connection)]
    assert names[0] == "initial_sync"
    assert names[-1] == "a_new_one"
    assert len(names) == 7


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
    rejections.record(connection, POLL, [Rejected("x", "why")], NOW)
    assert list(sync_state.read(connection, POLL).rejected) == ["x"]
    writes: list[Callable[[], None]] = [
        lambda: sync_state.move_cursor(connection, POLL, "c", key=1),
        lambda: sync_state.finish(connection, POLL, "completed", None, key=1),
    ]
    for write in writes:
        connection.execute(f"UPDATE sync_state SET metadata = {left}".encode())
        write()
        assert sync_state.read(connection, POLL).metadata == {"key": 1}
