"""The marks of readers who get notifications follow what they have read."""

from __future__ import annotations

from typing import Any

import pytest

import sql
from notify_server.store.read_marks import ReadMarks


def rows_for(connection: sql.Connection, count: int) -> None:
    connection.execute(
        "INSERT INTO notifications (user_id, message, event_id, read)"
        " SELECT id, 'm', n::text, n < 400 FROM users, generate_series(1, %s) AS n",
        (count,),
    )


def test_marks_follow_what_is_read_as_new_rows_come(
    connection: sql.Connection, make_user: Any
) -> None:
    make_user(), make_user()
    marks = ReadMarks()
    rows_for(connection, 1)
    for _ in range(3):  # nothing is known of what was before
        marks.advance(connection)
    assert connection.execute("SELECT * FROM reader_marks").fetchall() == []
    rows_for(connection, 500)
    for _ in range(3):
        marks.advance(connection)
    found = connection.execute("SELECT user_id, read_up_to + 1 FROM reader_marks").fetchall()
    oldest = "SELECT user_id, min(id) FROM notifications WHERE NOT read GROUP BY user_id"
    assert len(found) == 2
    assert sorted(found) == sorted(connection.execute(oldest).fetchall())


@pytest.mark.parametrize("is_held", [True, False])
def test_a_transaction_that_has_not_ended_holds_marks_back(
    connection: sql.Connection, database_url: str, make_user: Any, is_held: bool
) -> None:
    make_user()
    marks = ReadMarks()
    rows_for(connection, 1)
    for _ in range(3):
        marks.advance(connection)
    with sql.connect(database_url) as other, other.transaction():
        if is_held:
            rows_for(other, 1)
        rows_for(connection, 500)
        for _ in range(3):
            marks.advance(connection)
        count = connection.execute("SELECT count(*) FROM reader_marks").fetchall()
        assert count == [(0 if is_held else 1,)]
