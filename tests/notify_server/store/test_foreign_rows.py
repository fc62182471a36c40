"""Rows that only another program can have stored: others are unaffected, the text arrives."""

from __future__ import annotations

import json
from itertools import chain, repeat
from typing import Any

import psycopg
import pytest
from pytest_mock import MockerFixture

from notify_server.store import marks, receipts, replay
from readers.foreign_rows import read_data
from tests.support.waiting import wait_until

DEEP = "repeat('[', 3000) || repeat(']', 3000)"
UNREADABLE = [
    DEEP,
    f"'{{\"data\": ' || {DEEP} || '}}'",
    "'{\"changes\": ' || repeat('[', 500) || repeat(']', 500) || '}'",
    "'{\"data\": {\"a\": ' || repeat('9', 6000) || '}}'",
    "'{\"data\": {\"a\": ' || repeat('9', 400) || '.5}}'",
]
MOMENTS = [
    ("infinity", "9999-12-31T23:59:59.999999Z"),
    ("99999-01-01", "9999-12-31T23:59:59.999999Z"),
    ("-infinity", "0001-01-01T00:00:00.000000Z"),
    ("0044-03-15 BC", "0001-01-01T00:00:00.000000Z"),
    (None, ""),
]


def listed(server: Any, user: str) -> list[dict[str, Any]]:
    answer = server.get("/api/notifications", params={"user_id": user})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["notifications"]
    return found


@pytest.mark.parametrize("content", UNREADABLE)
def test_content_that_cannot_be_read_is_left_out(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any, content: str
) -> None:
    user, manga = make_user(), make_manga()
    connection.execute(
        "INSERT INTO notifications (user_id, type, title, message, data) "
        f"VALUES (%s, 'X', 'T', 'odd', ({content})::jsonb)",
        (user,),
    )
    found = listed(server, user)[0]
    assert (found["message"], found["data"], found["changes"]) == ("odd", {}, [])
    client = make_client(server, user)
    client.subscribe()
    body = client.read(1)[0]
    assert (body["message"], body["data"], body["changes"]) == ("odd", {}, [])
    server.post("new-manga", {"manga_id": manga, "title": "N"})
    assert client.read(1)[0]["title"] == "N"


@pytest.mark.parametrize(("moment", "shown"), MOMENTS)
def test_a_moment_that_is_no_date_is_the_nearest_one(
    server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: Any,
    moment: str | None,
    shown: str,
) -> None:
    user, manga = make_user(), make_manga()
    connection.execute(
        "INSERT INTO notifications (user_id, type, message, created_at, delivered_at) "
        "VALUES (%s, 'X', 'odd', %s, %s)",
        (user, moment, moment),
    )
    found = listed(server, user)[0]
    assert (found["created_at"], found["delivered_at"]) == (shown or None, shown or None)
    client = make_client(server, user)
    client.subscribe()
    assert client.read(1)[0]["timestamp"] == shown
    server.post("new-manga", {"manga_id": manga, "title": "N"})
    assert client.read(1)[0]["title"] == "N"


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), psycopg.DataError("odd"), psycopg.errors.OutOfMemory("odd")]
)
def test_a_row_that_cannot_be_loaded_is_skipped(
    server: Any,
    make_client: Any,
    make_user: Any,
    connection: Any,
    mocker: MockerFixture,
    error: Exception,
) -> None:
    load = replay.TemplateLoader.load

    def fail(self: Any, connection: Any, ids: list[int]) -> Any:
        if ids and min(ids) <= bad <= max(ids):
            raise error
        return load(self, connection, ids)

    user = make_user()
    rows = connection.execute(
        "INSERT INTO notifications (user_id, message) "
        "SELECT %s, n::text FROM generate_series(1, 100) n RETURNING id",
        (user,),
    ).fetchall()
    bad = rows[4][0]
    mocker.patch.object(replay.TemplateLoader, "load", fail)
    client = make_client(server, user)
    client.subscribe()
    wanted = [str(n) for n in range(1, 101) if n != 5]
    assert [body["message"] for body in client.read(99)] == wanted


def fail_once(mocker: MockerFixture, module: Any, name: str) -> Any:
    """Let the function's next call fail, and only that."""
    answers = chain([RuntimeError("odd")], repeat(mocker.DEFAULT))
    return mocker.patch.object(module, name, wraps=getattr(module, name), side_effect=answers)


def test_no_failure_of_one_request_ends_a_thread(
    server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    mocker: MockerFixture,
) -> None:
    fail_once(mocker, replay, "unread_ids")
    mark = fail_once(mocker, marks, "mark_acknowledged")
    client = make_client(server, make_user())
    client.send(client.request(client.cookie()))
    assert client.is_silent(0.3)
    client.subscribe()
    for _ in range(2):
        server.post("new-manga", {"manga_id": make_manga(), "title": "N"})
        client.read(1)
    wait_until(lambda: mark.called)
    assert server.get("/readyz").status_code == 200


def test_another_servers_event_that_cannot_be_read_does_not_end_the_listener(
    start_server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    mocker: MockerFixture,
) -> None:
    load = fail_once(mocker, receipts, "load_portion")
    here, there = start_server(), start_server()
    client = make_client(here, make_user())
    client.subscribe()
    manga = make_manga()
    there.post("new-manga", {"manga_id": manga, "title": "first"})
    wait_until(lambda: load.called)
    there.post("new-manga", {"manga_id": manga, "title": "second"})
    assert client.receive_type("NEW_MANGA")["title"] == "second"


@pytest.mark.parametrize(
    ("text", "data", "changes"),
    [
        (None, {}, []),
        ("", {}, []),
        ("no JSON", {}, []),
        ("5", {}, []),
        ("[1]", {}, []),
        ('{"data": 5, "changes": {}}', {}, []),
        ('{"data": {"a": 1.5}, "changes": [null]}', {"a": 1.5}, [None]),
        ('{"data": {"a": NaN}}', {}, []),
        ('{"data": {"a": 1e999}}', {}, []),
        (json.dumps({"data": {"a": [[[[[[[[1]]]]]]]]}}), {"a": [[[[[[[[1]]]]]]]]}, []),
    ],
)
def test_what_a_row_says_is_an_object_and_a_list(
    text: str | None, data: object, changes: object
) -> None:
    assert read_data(text) == (data, changes)
