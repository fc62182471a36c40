"""Titles in PostgreSQL: what is stored, and what counts as changed."""

from __future__ import annotations

from typing import Any

import pytest

import sql
from tests.support.titles import LATER, NOW, a_title, an_id, genres_of, outcome, row, store

# --- new titles --------------------------------------------------------------------------------


def test_a_new_title_fills_every_column(connection: sql.Connection) -> None:
    result = store(connection, a_title(numbering_restarts=True, content_rating="erotica"))
    stored = row(connection)
    assert result.inserted == {an_id(1): stored["id"]}
    wanted = {
        "slug": "salt-and-ash-1",
        "title": "Salt and Ash 1",
        "description": "A kitchen.",
        "author": "Ine Moss",
        "status": "ongoing",
        "total_chapters": 10,
        "cover_url": "https://uploads.mangadex.org/covers/x/y.jpg",
        "content_rating": "erotica",
        "numbering_restarts": True,
        "mangadex_version": 3,
        "last_synced_at": "2026-03-01T12:00:00+00:00",
        "first_synced_at": "2026-03-01T12:00:00+00:00",
        "last_chapter_check": None,
        "unavailable_at": None,
        "missing_since": None,
    }
    assert {name: stored[name] for name in wanted} == wanted
    assert genres_of(connection) == {"Drama", "Mystery"}


def test_a_title_of_which_nothing_is_known_is_stored(connection: sql.Connection) -> None:
    bare = a_title(description=None, author=None, status=None, total_chapters=None,
                   cover_url=None, genres=())  # fmt: skip
    assert outcome(store(connection, bare)) == (1, 0, 0, 0)
    assert (row(connection)["author"], genres_of(connection)) == (None, set())


@pytest.mark.parametrize(
    "text",
    [
        "A" * 2_000,
        "'; DROP TABLE manga; --",
        "{NULL,\"a\\b\"}",
        "NULL",
        "100 % %s %(x)s",
        "\U0001f9c2 塩 \u202e rtl \u200d",
        "line\nbreak\ttab\r\x07",
    ],
    ids=["long", "sql", "array", "null", "percent", "unicode", "controls"],
)  # fmt: skip
def test_any_text_is_stored_as_it_is(connection: sql.Connection, text: str) -> None:
    manga = a_title(title=text, description=text, author=text, genres=(text[:200],))
    assert outcome(store(connection, manga)) == (1, 0, 0, 0)
    stored = row(connection)
    assert {stored["title"], stored["description"], stored["author"]} == {text}
    assert genres_of(connection) == {text[:200]}
    assert outcome(store(connection, manga)) == (0, 0, 1, 0)


def test_of_a_title_that_comes_twice_the_last_one_counts(connection: sql.Connection) -> None:
    result = store(connection, a_title(author="First"), a_title(2), a_title(author="Last"))
    assert outcome(result) == (2, 0, 0, 0)
    assert row(connection)["author"] == "Last"


def test_nothing_to_store_is_nothing_done(connection: sql.Connection) -> None:
    assert outcome(store(connection)) == (0, 0, 0, 0)


# --- slugs -------------------------------------------------------------------------------------


def insert_old(connection: sql.Connection, **columns: Any) -> int:
    """A row as another program left it."""
    names = ", ".join(columns)
    marks = ", ".join(["%s"] * len(columns))
    found = connection.execute(
        f"INSERT INTO manga ({names}) VALUES ({marks}) RETURNING id".encode(), [*columns.values()]
    ).fetchone()
    assert found is not None
    return int(found[0])


def test_slugs_that_other_rows_have_are_left_to_them(connection: sql.Connection) -> None:
    insert_old(connection, title="By hand", slug="salt-and-ash-1")
    store(connection, a_title(1), a_title(2, title="Salt and Ash 1!"), a_title(3, title="塩"))
    assert row(connection, 1)["slug"] == f"salt-and-ash-1-{an_id(1).hex[:8]}"
    assert row(connection, 2)["slug"] == f"salt-and-ash-1-{an_id(2).hex}"
    assert row(connection, 3)["slug"] == an_id(3).hex[:8]


def test_a_title_keeps_its_slug_when_it_is_renamed(connection: sql.Connection) -> None:
    store(connection, a_title())
    assert outcome(store(connection, a_title(title="Pepper"))) == (0, 1, 0, 0)
    assert (row(connection)["title"], row(connection)["slug"]) == ("Pepper", "salt-and-ash-1")


def test_a_slug_that_a_title_gave_up_its_name_for_stays_taken(connection: sql.Connection) -> None:
    store(connection, a_title(title="Pepper"))
    store(connection, a_title(title="Salt"), a_title(2, title="Pepper"))
    assert row(connection, 2)["slug"] == f"pepper-{an_id(2).hex[:8]}"


def test_a_title_whose_every_slug_is_taken_by_malice_costs_nothing_but_itself(
    connection: sql.Connection,
) -> None:
    for slug in ("salt", f"salt-{an_id(1).hex[:8]}", f"salt-{an_id(1).hex}", str(an_id(1))):
        insert_old(connection, title="Malice", slug=slug)
    result = store(connection, a_title(title="Salt"), a_title(2))
    assert outcome(result) == (1, 0, 0, 1)
    assert "manga_slug_key" in result.rejected[0].reason


# --- known titles ------------------------------------------------------------------------------


def test_a_title_that_is_as_it_was_is_unchanged_but_seen(connection: sql.Connection) -> None:
    first = store(connection, a_title())
    again = store(connection, a_title(), now=LATER)
    assert again.unchanged == first.inserted
    assert outcome(again) == (0, 0, 1, 0)
    stored = row(connection)
    assert stored["last_synced_at"] == LATER.isoformat()
    assert stored["first_synced_at"] == NOW.isoformat()


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"title": "Pepper"}, "title", "Pepper"),
        ({"description": None}, "description", None),
        ({"author": "Rolf Quay"}, "author", "Rolf Quay"),
        ({"status": "cancelled"}, "status", "cancelled"),
        ({"total_chapters": 11}, "total_chapters", 11),
        ({"cover_url": "https://x/z.jpg"}, "cover_url", "https://x/z.jpg"),
        ({"content_rating": "erotica"}, "content_rating", "erotica"),
        ({"numbering_restarts": True}, "numbering_restarts", True),
        ({"version": 4}, "mangadex_version", 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_in_one_column_is_a_change(
    connection: sql.Connection, changes: dict[str, Any], column: str, value: object
) -> None:
    store(connection, a_title(), a_title(2))
    result = store(connection, a_title(**changes), a_title(2), now=LATER)
    assert (set(result.updated), set(result.unchanged)) == ({an_id(1)}, {an_id(2)})
    assert row(connection)[column] == value
    assert {row(connection, n)["last_synced_at"] for n in (1, 2)} == {LATER.isoformat()}


def test_an_answer_without_a_cover_takes_none_away(connection: sql.Connection) -> None:
    store(connection, a_title())
    assert outcome(store(connection, a_title(cover_url=None))) == (0, 0, 1, 0)
    assert row(connection)["cover_url"] == a_title().cover_url


@pytest.mark.parametrize("told", [9, 0, None])
def test_the_number_of_chapters_never_falls(connection: sql.Connection, told: int | None) -> None:
    store(connection, a_title(total_chapters=10))
    assert outcome(store(connection, a_title(total_chapters=told))) == (0, 0, 1, 0)
    assert row(connection)["total_chapters"] == 10


def test_a_title_that_comes_back_is_available_again(connection: sql.Connection) -> None:
    store(connection, a_title(1), a_title(2))
    connection.execute("UPDATE manga SET unavailable_at = now() WHERE mangadex_id = %s", [an_id(1)])
    connection.execute("UPDATE manga SET missing_since = now() WHERE mangadex_id = %s", [an_id(2)])
    assert outcome(store(connection, a_title(1), a_title(2))) == (0, 2, 0, 0)
    for number in (1, 2):
        stored = row(connection, number)
        assert (stored["unavailable_at"], stored["missing_since"]) == (None, None)


def test_a_row_that_is_mostly_null_is_filled_and_keeps_its_id(connection: sql.Connection) -> None:
    old_id = insert_old(connection, title="Salt", mangadex_id=an_id(1), total_chapters=99)
    result = store(connection, a_title())
    assert result.updated == {an_id(1): old_id}
    stored = row(connection)
    assert (stored["slug"], stored["total_chapters"]) == (None, 99)
    assert stored["first_synced_at"] == NOW.isoformat()
    assert (stored["author"], stored["average_rating"]) == ("Ine Moss", None)


def test_columns_that_are_others_stay_as_they_are(connection: sql.Connection) -> None:
    insert_old(connection, title="S", mangadex_id=an_id(1), slug="mine", average_rating="4.20",
               last_chapter_check=NOW, created_at=NOW)  # fmt: skip
    before = row(connection)
    store(connection, a_title(), now=LATER)
    after = row(connection)
    for name in ("id", "slug", "average_rating", "last_chapter_check", "created_at"):
        assert after[name] == before[name]


# --- genres ------------------------------------------------------------------------------------


def test_genres_that_exist_are_used_by_their_own_ids(connection: sql.Connection) -> None:
    connection.execute("INSERT INTO genres (id, name) VALUES (77, 'Mystery'), (78, 'Unused')")
    store(connection, a_title(), a_title(2))
    found = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE genre_id = 77) FROM manga_genres"
    ).fetchone()
    assert found == (4, 2)


def test_links_follow_the_tags_and_count_as_a_change(connection: sql.Connection) -> None:
    store(connection, a_title(), a_title(2))
    result = store(connection, a_title(genres=("Mystery", "Slice of Life")), a_title(2))
    assert (set(result.updated), set(result.unchanged)) == ({an_id(1)}, {an_id(2)})
    assert genres_of(connection, 1) == {"Mystery", "Slice of Life"}
    assert genres_of(connection, 2) == {"Drama", "Mystery"}
    assert outcome(store(connection, a_title(genres=()))) == (0, 1, 0, 0)
    assert genres_of(connection, 1) == set()


def test_repeated_look_ups_use_up_no_genre_ids(connection: sql.Connection) -> None:
    for _ in range(5):
        store(connection, a_title())
    store(connection, a_title(genres=("Newest",)))
    found = connection.execute("SELECT max(id) FROM genres").fetchone()
    assert found == (3,)


def test_links_are_kept_single_where_no_key_demands_it(connection: sql.Connection) -> None:
    connection.execute(
        "ALTER TABLE manga_genres DROP CONSTRAINT manga_genres_manga_id_genre_id_key"
    )
    store(connection, a_title())
    store(connection, a_title(genres=("Drama", "Mystery", "Crime")))
    found = connection.execute("SELECT count(*) FROM manga_genres").fetchone()
    assert found == (3,)
