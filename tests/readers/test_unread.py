"""A reader's mark: nothing up to it is unread, whoever writes, sets back, or commits late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

import sql
from notify_server.store.replay import unread_ids
from readers.unread import raise_marks


@pytest.fixture
def reader(connection: sql.Connection) -> UUID:
    row = connection.execute("INSERT INTO users (username) VALUES ('u') RETURNING id").fetchone()
    assert row is not None
    return UUID(str(row[0]))


def add(connection: sql.Connection, reader: UUID, read: bool, event: str | None = "e") -> int:
    row = connection.execute(
        "INSERT INTO notifications (user_id, message, read, event_id) VALUES (%s, 'm', %s, %s)"
        " RETURNING id",
        (reader, read, event),
    ).fetchone()
    assert row is not None
    return int(row[0])


def mark_of(connection: sql.Connection) -> int:
    row = connection.execute("SELECT read_up_to FROM reader_marks").fetchone()
    return int(row[0]) if row else 0


def unread(connection: sql.Connection, reader: UUID) -> list[int]:
    return unread_ids(connection, [reader.bytes])[0][reader.bytes]


def test_a_mark_is_raised_to_the_oldest_unread_row_and_no_further_than_all_is_there(
    connection: sql.Connection, reader: UUID
) -> None:
    ids = [add(connection, reader, read) for read in (True, True, False, True)]
    raise_marks(connection, [reader], ids[0])
    assert mark_of(connection) == ids[0]
    raise_marks(connection, [reader], ids[3])
    assert mark_of(connection) == ids[1]
    connection.execute("UPDATE notifications SET read = true")
    raise_marks(connection, [reader], ids[3])
    assert mark_of(connection) == ids[3]
    raise_marks(connection, [reader], ids[1])
    assert mark_of(connection) == ids[3]


CHANGES: dict[str, Callable[[sql.Connection, UUID, list[int]], object]] = {
    "set back": lambda c, _, ids: c.execute(
        "UPDATE notifications SET read = false WHERE id = %s", [ids[0]]
    ),
    "set to null": lambda c, _, ids: c.execute(
        "UPDATE notifications SET read = NULL WHERE id = %s", [ids[0]]
    ),
    "given to another": lambda c, reader, ids: (
        c.execute(
            "WITH n AS (INSERT INTO notifications (message, read) VALUES ('m', false) RETURNING id)"
            " SELECT id FROM n"
        )
        and c.execute("UPDATE notifications SET user_id = %s WHERE user_id IS NULL", [reader])
    ),
    "written with an old id": lambda c, reader, ids: (
        c.execute("DELETE FROM notifications")
        and c.execute(
            "INSERT INTO notifications (id, user_id, message) VALUES (%s, %s, 'm')",
            [ids[0], reader],
        )
    ),
    "emptied and begun again": lambda c, reader, ids: (
        c.execute("TRUNCATE notifications RESTART IDENTITY") and add(c, reader, read=False)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_becomes_unread_below_the_mark_is_found(
    connection: sql.Connection,
    reader: UUID,
    change: Callable[[sql.Connection, UUID, list[int]], object],
) -> None:
    ids = [add(connection, reader, read=True) for _ in range(3)]
    raise_marks(connection, [reader], ids[2] + 10)
    assert unread(connection, reader) == []
    change(connection, reader, ids)
    rows = connection.execute("SELECT id FROM notifications WHERE read IS NOT TRUE").fetchall()
    assert unread(connection, reader) == [id for (id,) in rows] != []


@pytest.mark.parametrize("is_marked", [True, False], ids=["with a mark", "without"])
def test_who_raises_a_mark_waits_for_a_row_that_is_being_set_back(
    connection: sql.Connection, database_url: str, reader: UUID, is_marked: bool
) -> None:
    ids = [add(connection, reader, read=True) for _ in range(3)]
    if is_marked:
        raise_marks(connection, [reader], ids[0])
    with sql.connect(database_url) as other, other.transaction():
        other.execute("UPDATE notifications SET read = false WHERE id = %s", [ids[0]])
        try:
            raise_marks(connection, [reader], ids[2])
        except psycopg.errors.LockNotAvailable:
            assert not is_marked  # that of a mark which is being made
    assert unread(connection, reader) == [ids[0]]


def test_a_late_row_of_another_program_is_found(
    connection: sql.Connection, database_url: str, reader: UUID
) -> None:
    with sql.connect(database_url) as other, other.transaction():
        late = add(other, reader, read=False, event=None)
        newer = add(connection, reader, read=True)
        try:
            raise_marks(connection, [reader], newer)
        except psycopg.errors.LockNotAvailable:
            assert mark_of(connection) == 0
    assert unread(connection, reader) == [late]


def test_a_row_without_a_user_or_of_an_unknown_one_needs_no_mark(connection: Any) -> None:
    connection.execute("INSERT INTO notifications (message) VALUES ('m')")
    connection.execute(
        "INSERT INTO notifications (user_id, message) VALUES (gen_random_uuid(), 'm')"
    )
    assert mark_of(connection) == 0
