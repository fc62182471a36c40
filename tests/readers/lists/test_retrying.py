"""Kept entries are matched when their title comes, and their reader is told once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sql
from readers.lists.retrying import retry_all, retry_wanted
from readers.users import User, add_user

ID = UUID("a1c7c817-4e59-43b7-9365-09675a149a6f")


def messages(connection: sql.Connection) -> list[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT type, manga_id, message, read FROM notifications ORDER BY id"
    ).fetchall()
    return rows


def test_a_title_that_comes_is_put_into_the_library_with_its_standing(
    add_title: Any, bring: Any, standing: Any, connection: sql.Connection
) -> None:
    bring(
        f"title,mangadex_id,status,progress,al\nOne,{ID},completed,12,\nTwo,,reading,3,\n,,,4,7\n"
    )
    assert retry_all(connection) == 0
    one = add_title("One", id=ID)
    two = add_title("Two")
    three = add_title("Three", al="7")
    assert retry_all(connection) == 3
    assert retry_all(connection) == 0
    assert standing(one) == ("completed", 12)
    assert standing(two) == ("reading", 3)
    assert standing(three) == ("reading", 4)
    rows = connection.execute("SELECT state, match FROM import_entries ORDER BY id").fetchall()
    assert rows == [("matched", "id"), ("matched", "title"), ("matched", "link")]
    assert messages(connection) == [
        ("NEW_MANGA", None, "New from your list: One, Two, Three", False)
    ]


def test_only_wanted_titles_are_matched_where_only_those_are_asked_for(
    add_title: Any, bring: Any, connection: sql.Connection
) -> None:
    bring(f"title,mangadex_id\nOne,{ID}\nTwo,\n")
    one = add_title("One", id=ID)
    add_title("Two")
    assert retry_wanted(connection) == 1
    assert messages(connection) == [("NEW_MANGA", one, "New from your list: One", False)]


def test_an_old_number_is_matched_by_the_id_that_it_was_found_to_be(
    add_title: Any, bring: Any, connection: sql.Connection
) -> None:
    text = "https://mangadex.org/title/12345\n"
    bring(text)
    connection.execute("UPDATE import_entries SET mangadex_id = %s", [ID])
    one = add_title("One", id=ID)
    assert retry_wanted(connection) == 1
    rows = connection.execute("SELECT state, match, manga_id FROM import_entries").fetchall()
    assert rows == [("matched", "legacy", one)]
    [again] = bring(text).entries
    assert (again.match.by, again.match.manga_id, again.is_added) == ("legacy", one, False)


def test_each_reader_is_told_of_his_own(
    add_title: Any, bring: Any, connection: sql.Connection, user: User
) -> None:
    other = add_user(connection, "noa", None, None)
    bring("title\nOne\n")
    connection.execute(
        "INSERT INTO import_entries (user_id, entry_key, title, state)"
        " VALUES (%s, 'title:two', 'Two', 'unmatched')",
        [other.id],
    )
    one, two = add_title("One"), add_title("Two")
    assert retry_all(connection) == 2
    rows = connection.execute("SELECT user_id, manga_id FROM notifications").fetchall()
    assert set(rows) == {(user.id, one), (other.id, two)}
    receipts = connection.execute("SELECT count(*) FROM notification_receipts").fetchone()
    assert receipts == (2,)


def test_what_was_there_already_is_no_news(
    add_title: Any, bring: Any, connection: sql.Connection, user: User
) -> None:
    bring("title\nOne\n")
    one = add_title("One")
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", [user.id, one]
    )
    assert retry_all(connection) == 1
    assert messages(connection) == []


def test_what_is_gone_stays_gone(bring: Any, connection: sql.Connection) -> None:
    text = f"title,mangadex_id\nOne,{ID}\n"
    bring(text)
    connection.execute("UPDATE import_entries SET state = 'unmatched', why = 'it is gone'")
    [again] = bring(text).entries
    assert (again.match.state, again.match.why) == ("unmatched", "it is gone")
    assert retry_all(connection) == 0
