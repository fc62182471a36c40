"""Names, links and changes of titles, as they follow the source."""

from __future__ import annotations

from typing import Any

import sql
from tests.support.titles import LATER, a_title, store

EN, JA = ("en", "Salt"), ("ja", "塩")


def rows(connection: sql.Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def names(connection: sql.Connection) -> set[tuple[str, str]]:
    return {tuple(row) for row in rows(connection, "SELECT language, title FROM manga_titles")}


def links(connection: sql.Connection) -> list[tuple[Any, ...]]:
    return rows(
        connection, "SELECT site, external_id, until IS NULL FROM manga_links ORDER BY 1, 2"
    )


def changes(connection: sql.Connection) -> list[tuple[Any, ...]]:
    query = "SELECT field, old_value, new_value FROM manga_changes ORDER BY changed_at, id"
    return rows(connection, query)


def test_names_follow_the_source(connection: sql.Connection) -> None:
    store(connection, a_title(titles=(EN, JA)), a_title(2, titles=(EN,)))
    assert names(connection) == {EN, JA}
    store(connection, a_title(titles=(JA, ("en", "Ash"))), now=LATER)
    assert rows(connection, "SELECT count(*) FROM manga_titles") == [(3,)]
    assert names(connection) == {EN, JA, ("en", "Ash")}


def test_a_link_that_is_taken_away_is_kept_with_its_end_and_may_come_back(
    connection: sql.Connection,
) -> None:
    store(connection, a_title(links=(("al", "1"), ("mal", "2"))))
    store(connection, a_title(links=(("al", "7"),)), now=LATER)
    assert links(connection) == [("al", "1", False), ("al", "7", True), ("mal", "2", False)]
    store(connection, a_title(links=(("al", "7"), ("mal", "2"))), now=LATER)
    assert links(connection)[2] == ("mal", "2", True)
    assert sorted(changes(connection), key=str) == [
        ("links.al", "1", "7"),
        ("links.mal", "2", None),
        ("links.mal", None, "2"),
    ]


def test_what_is_filled_for_the_first_time_is_no_change(connection: sql.Connection) -> None:
    store(connection, a_title())
    store(connection, a_title(titles=(EN,), links=(("al", "1"),)), now=LATER)
    assert changes(connection) == []


def test_changes_of_title_and_status_are_recorded(connection: sql.Connection) -> None:
    store(connection, a_title(title="Salt", status="ongoing"))
    store(connection, a_title(title="Ash", status=None), now=LATER)
    assert changes(connection) == [("title", "Salt", "Ash"), ("status", "ongoing", None)]


def test_the_same_again_writes_nothing(connection: sql.Connection) -> None:
    title = a_title(titles=(EN, JA), links=(("al", "1"),))
    store(connection, title)
    seen = "SELECT xmin::text FROM manga_titles UNION ALL SELECT xmin::text FROM manga_links"
    before = rows(connection, seen)
    store(connection, title, now=LATER)
    assert rows(connection, seen) == before
