"""One run of a workflow at a time, over all sessions of a database."""

from __future__ import annotations

from time import monotonic

import pytest

import sql
from batch.errors import LockHeld
from batch.store import locks
from sql.state import workflows
from tests.support.waiting import wait_until


def test_a_lock_that_is_free_is_taken_at_once(connection: sql.Connection) -> None:
    began_s = monotonic()
    assert not workflows.is_running(connection, "initial_sync")
    locks.take_lock(connection, "initial_sync")
    assert workflows.is_running(connection, "initial_sync")
    assert monotonic() - began_s < 1.9


@pytest.mark.parametrize(
    "sync_type",
    ["initial_sync", "new_manga_poll", "chapter_feed", "chapter_check", "metadata_refresh"],
)
def test_each_workflow_has_a_lock_of_its_own(
    connection: sql.Connection, database_url: str, sync_type: str
) -> None:
    locks.take_lock(connection, sync_type)
    with sql.connect(database_url) as other:
        for name in ("initial_sync", "new_manga_poll", "chapter_feed", "chapter_check",
                     "metadata_refresh"):  # fmt: skip
            assert workflows.is_running(other, name) == (name == sync_type)
            if name != sync_type:
                locks.take_lock(other, name)


@pytest.mark.slow
def test_a_second_run_gives_up_after_two_seconds(
    connection: sql.Connection, database_url: str
) -> None:
    locks.take_lock(connection, "chapter_feed")
    with sql.connect(database_url) as other:
        began_s = monotonic()
        with pytest.raises(LockHeld, match=r"^another run of chapter-feed is under way"):
            locks.take_lock(other, "chapter_feed")
        assert 1.9 <= monotonic() - began_s < 15
        # The patience was that statement's alone.
        assert other.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_session_that_ends_gives_its_lock_back(
    connection: sql.Connection, database_url: str
) -> None:
    with sql.connect(database_url) as other:
        locks.take_lock(other, "chapter_check")
        pid = other.info.backend_pid
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        wait_until(lambda: not workflows.is_running(connection, "chapter_check"))
    locks.take_lock(connection, "chapter_check")
    assert workflows.is_running(connection, "chapter_check")


def test_a_lock_of_another_database_is_none_of_ours(
    connection: sql.Connection, empty_database_url: str
) -> None:
    with sql.connect(empty_database_url) as other:
        locks.take_lock(other, "initial_sync")
        assert not workflows.is_running(connection, "initial_sync")
        locks.take_lock(connection, "initial_sync")


def test_a_lock_outlives_the_transactions_of_its_session(connection: sql.Connection) -> None:
    with connection.transaction():
        connection.execute("SELECT 1")
    locks.take_lock(connection, "initial_sync")
    with connection.transaction():
        connection.execute("SELECT 1")
    assert workflows.is_running(connection, "initial_sync")
