"""The inbox: unread first, marking, undoing, and nobody else's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import sql
from readers.users import User, add_user
from tests.support.website import RunningSite


def tell(connection: sql.Connection, user: User, number: int = 1, **columns: Any) -> list[int]:
    """Store notifications; return their ids."""
    given = {
        "type": "NEW_CHAPTER",
        "title": "Blue",
        "message": "New chapter 181 available",
        "data": json.dumps({"data": {"url": "https://mangadex.org/chapter/x", "language": "en"}}),
        **columns,
    }
    rows = connection.execute(
        f"INSERT INTO notifications (user_id, {', '.join(given)})"
        f" SELECT %s, {', '.join(['%s'] * len(given))} FROM generate_series(1, %s)"
        " RETURNING id".encode(),
        [user.id, *given.values(), number],
    ).fetchall()
    return [id for (id,) in rows]


def read_ids(connection: sql.Connection) -> list[int]:
    rows = connection.execute("SELECT id FROM notifications WHERE read ORDER BY id")
    return [id for (id,) in rows]


def shown_ids(page: str) -> list[int]:
    return list(map(int, re.findall(r'id="n-(\d+)"', page)))


def test_unread_ones_come_first_and_older_ones_after_them(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    old = tell(connection, mika, 30)
    read = tell(connection, mika, 40, read=True)
    new = tell(connection, mika, 25, read=None)
    wanted = [*reversed(new), *reversed(old), *reversed(read)]
    visitor = website.visitor(mika)
    first = visitor.get("/me/inbox").text
    assert shown_ids(first) == wanted[:50]
    older = re.search(r'href="(/me/inbox\?before=u\d+)" rel="next"', first)
    assert older
    assert shown_ids(visitor.get(older[1]).text) == wanted[50:]


def test_one_is_marked_and_that_is_undone(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    ids = tell(connection, mika, 3)
    visitor = website.visitor(mika)
    answer = visitor.post("/me/inbox/mark", "/me/inbox", id=ids[1], **{"as": "read"})
    assert answer.headers["Location"] == f"/me/inbox?undo={ids[1]}&as=read"
    assert read_ids(connection) == [ids[1]]
    page = visitor.get(answer.headers["Location"]).text
    assert "1 marked read." in page and 'data-key="u">Undo' in page
    fields = {"id": ids[1], "as": "unread", "undo": 1}
    answer = visitor.post("/me/inbox/mark", "/me/inbox", **fields)
    assert answer.headers["Location"] == "/me/inbox"
    assert read_ids(connection) == []


def test_what_is_shown_is_marked_and_no_more_and_the_undo_knows_what_changed(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    ids = tell(connection, mika, 60)
    visitor = website.visitor(mika)
    page = visitor.get("/me/inbox").text
    field = re.search(r'name="id" value="([\d.]+)" data-key="A">Mark these 50 read', page)
    assert field
    connection.execute("UPDATE notifications SET read = true WHERE id = %s", [ids[-1]])
    answer = visitor.post("/me/inbox/mark", "/me/inbox", id=field[1], **{"as": "read"})
    assert read_ids(connection) == ids[10:]
    undo = re.search(r"undo=([\d.]+)", answer.headers["Location"])
    assert undo and sorted(map(int, undo[1].split("."))) == ids[10:-1]


def test_nobody_marks_or_sees_what_another_was_told(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    ids = tell(connection, mika)
    other = website.visitor(add_user(connection, "noor", None, None))
    other.post("/me/inbox/mark", "/me/inbox", id=ids[0], **{"as": "read"})
    assert read_ids(connection) == []
    assert shown_ids(other.get("/me/inbox").text) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"as": "read", "id": "x"}, "ids are at most"),
        ({"as": "read", "id": "1." * 101}, "ids are at most"),
        ({"as": "x", "id": "1"}, "as is read or unread"),
        ({"id": "1"}, "as is read or unread"),
    ],
)
def test_a_form_that_is_none_of_ours_changes_nothing(
    website: RunningSite,
    connection: sql.Connection,
    mika: User,
    fields: dict[str, str],
    words: str,
) -> None:
    tell(connection, mika)
    answer = website.visitor(mika).post("/me/inbox/mark", "/me/inbox", **fields)
    assert answer.status_code == 400 and words in answer.text
    assert read_ids(connection) == []


@pytest.mark.parametrize("query", ["before=x", "before=u", "undo=x", "before=r-1"])
def test_an_address_that_is_none_is_400(website: RunningSite, mika: User, query: str) -> None:
    assert website.visitor(mika).get(f"/me/inbox?{query}").status_code == 400


HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"title": HOSTILE, "message": HOSTILE}, id="script"),
        pytest.param({"title": None, "type": None, "data": None}, id="nothing"),
        pytest.param({"created_at": "infinity"}, id="at the end of time"),
        pytest.param({"created_at": "-infinity"}, id="at its beginning"),
        pytest.param({"created_at": None, "data": "[1]"}, id="of another program"),
        pytest.param({"data": '{"data": {"url": "javascript:alert(1)"}}'}, id="address"),
        pytest.param({"data": '{"data": {"url": [1], "groups": {}, "language": 5}}'}, id="types"),
        pytest.param({"data": '{"data": {"groups": [1, "<b>"]}}'}, id="groups"),
        pytest.param({"title": "x" * 5_000, "message": "y" * 5_000}, id="long"),
    ],
)
def test_whatever_is_stored_is_shown_as_text(
    website: RunningSite, connection: sql.Connection, mika: User, columns: dict[str, Any]
) -> None:
    tell(connection, mika, **columns)
    answer = website.visitor(mika).get("/me/inbox")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text and "javascript:" not in answer.text
    assert "x" * 301 not in answer.text and "y" * 301 not in answer.text


def test_an_empty_inbox_says_what_will_come(website: RunningSite, mika: User) -> None:
    page = website.visitor(mika).get("/me/inbox").text
    assert "Nothing yet. You are told here of new chapters" in page


def test_all_read_is_said(website: RunningSite, connection: sql.Connection, mika: User) -> None:
    tell(connection, mika, read=True)
    assert "All read." in website.visitor(mika).get("/me/inbox").text


@pytest.mark.parametrize("path", ["/me/inbox", "/me/library", "/me/preferences"])
def test_visitors_sign_in_first(website: RunningSite, path: str) -> None:
    answer = website.visitor().get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/sign-in?next={path}")
