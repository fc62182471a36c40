"""Connecting, and what a failed or lost connection looks like to the operator."""

from __future__ import annotations

import sql


def test_a_migrated_database_is_current(connection: sql.Connection) -> None:
    sql.require_current(connection)


def test_sessions_are_in_utc_and_commit_by_themselves(connection: sql.Connection) -> None:
    assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
    assert connection.autocommit
