"""An event with more recipients than one portion reaches each of them once, whoever is killed."""

from __future__ import annotations

from typing import Any

import pytest

import sql
from notify_server.events.kinds import Event
from notify_server.events.validation import parse_typed_event
from notify_server.store import notifications
from notify_server.store.recipients import PORTION_ROWS
from tests.support.waiting import wait_until

MANY = 2 * PORTION_ROWS + 300


def add_users(connection: sql.Connection, count: int) -> list[str]:
    rows = connection.execute(
        "INSERT INTO users (username) SELECT 'many-' || n FROM generate_series(1, %s) n"
        " RETURNING id",
        (count,),
    ).fetchall()
    return sorted(str(id) for (id,) in rows)


def follow(connection: sql.Connection, manga_id: int) -> None:
    query = "INSERT INTO user_library (user_id, manga_id) SELECT id, %s FROM users"
    connection.execute(query, (manga_id,))


def event(kind: str, manga_id: int, title: str, **fields: object) -> Event:
    return parse_typed_event({"type": kind, "manga_id": manga_id, "title": title, **fields}, title)


def chapter(manga_id: int, number: int) -> Event:
    return event("new-chapter", manga_id, f"c{number}", chapter=number)


def begin(connection: sql.Connection, begun: Event) -> int:
    """Store the first portion as a server does that is killed then, 5 seconds ago."""
    result = notifications.store_event(connection, begun)
    assert result.is_unfinished
    connection.execute("UPDATE unfinished_events SET touched_at = now() - interval '5 s'")
    return result.recipients


def wait_finished(connection: sql.Connection) -> None:
    query = "SELECT count(*) FROM unfinished_events"
    wait_until(lambda: connection.execute(query).fetchall() == [(0,)], 20)


def rows_of(connection: sql.Connection, title: str) -> tuple[int, int]:
    """Return how many rows there are, and of how many users."""
    query = "SELECT count(*), count(DISTINCT user_id) FROM notifications WHERE title = %s"
    rows, users = connection.execute(query, (title,)).fetchall()[0]
    return rows, users


@pytest.mark.parametrize("count", [PORTION_ROWS - 1, PORTION_ROWS, PORTION_ROWS + 1, MANY])
def test_everybody_has_one_row_and_hears_once_at_each_server(
    start_server: Any, make_client: Any, make_manga: Any, connection: sql.Connection, count: int
) -> None:
    one, two = start_server(), start_server()
    users, manga = add_users(connection, count), make_manga()
    clients = [make_client(s, user) for s in (one, two) for user in (users[0], users[-1])]
    for client in clients:
        client.subscribe()
    assert one.post("new-manga", {"manga_id": manga, "title": "T"}).status_code == 202
    for client in clients:
        assert [each["title"] for each in client.read(1, timeout=10)] == ["T"]
    wait_finished(connection)
    assert rows_of(connection, "T") == (count, count)
    for client in clients:
        assert client.is_silent(0.1)


def test_what_a_killed_server_has_begun_is_finished_by_another_one(
    start_server: Any, make_client: Any, make_manga: Any, connection: sql.Connection
) -> None:
    users = add_users(connection, MANY)
    assert begin(connection, event("new-manga", make_manga(), "T")) == PORTION_ROWS
    server = start_server()
    client = make_client(server, users[-1])
    client.subscribe()
    assert [each["title"] for each in client.read(1, timeout=10)] == ["T"]
    wait_finished(connection)
    assert rows_of(connection, "T") == (MANY, MANY)
    assert client.is_silent(0.1)


def test_who_comes_after_the_event_is_not_told(
    start_server: Any, make_manga: Any, connection: sql.Connection
) -> None:
    add_users(connection, MANY)
    begin(connection, event("new-manga", make_manga(), "T"))
    connection.execute("INSERT INTO users (id, username) VALUES (%s, 'late')", ("f" * 32,))
    start_server()
    wait_finished(connection)
    assert rows_of(connection, "T") == (MANY, MANY)


def test_the_chapters_of_a_title_stay_in_order(
    start_server: Any, make_manga: Any, connection: sql.Connection
) -> None:
    add_users(connection, MANY)
    manga = make_manga()
    follow(connection, manga)
    begin(connection, chapter(manga, 8))
    server = start_server()
    body = {"manga_id": manga, "title": "c9", "chapter": 9, "event_id": "c9"}
    assert server.post("new-chapter", body).status_code == 202
    wait_finished(connection)
    assert rows_of(connection, "c8") == rows_of(connection, "c9") == (MANY, MANY)
    wrong = connection.execute(
        "SELECT count(*) FROM notifications a JOIN notifications b USING (user_id)"
        " WHERE a.title = 'c8' AND b.title = 'c9' AND a.id > b.id"
    ).fetchall()
    assert wrong == [(0,)]


def test_a_chapter_does_not_wait_behind_an_event_to_everybody(
    make_user: Any, make_manga: Any, connection: sql.Connection
) -> None:
    reader = make_user()
    manga = make_manga("A Title", (reader,))
    add_users(connection, MANY)
    begin(connection, event("new-manga", manga, "T"))
    result = notifications.store_event(connection, chapter(manga, 1))
    assert (result.recipients, result.is_unfinished) == (1, False)


def test_a_repeated_event_changes_nothing(
    start_server: Any, make_manga: Any, connection: sql.Connection
) -> None:
    add_users(connection, MANY)
    manga = make_manga()
    begin(connection, event("new-manga", manga, "T"))
    server = start_server()
    for _ in range(3):
        answer = server.post("new-manga", {"manga_id": manga, "title": "T", "event_id": "T"})
        assert answer.status_code == 202
    wait_finished(connection)
    assert rows_of(connection, "T") == (MANY, MANY)


@pytest.mark.slow
def test_kills_between_portions_lose_nobody_and_tell_nobody_twice(
    start_program_server: Any, make_manga: Any, connection: sql.Connection
) -> None:
    count = 60 * PORTION_ROWS
    add_users(connection, count)
    manga = make_manga()
    for title in ("a", "b", "c"):
        server = start_program_server()
        body = {"manga_id": manga, "title": title, "event_id": title}
        assert server.post("new-manga", body).status_code == 202
        wait_until(lambda: rows_of(connection, title)[0] >= 3 * PORTION_ROWS, 20)  # noqa: B023
        server.process.kill()
        server.process.wait(10)
    assert connection.execute("SELECT count(*) FROM unfinished_events").fetchall() != [(0,)]
    start_program_server()
    query = "SELECT count(*) FROM unfinished_events"
    wait_until(lambda: connection.execute(query).fetchall() == [(0,)], 60)
    assert [rows_of(connection, title) for title in "abc"] == [(count, count)] * 3
