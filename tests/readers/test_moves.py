"""Titles that are gone: which title is offered, what moves by itself, and what goes along."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

import sql
from readers import library, moves, preferences, progress
from readers.errors import NotFound
from readers.lists.entries.entry import make_entry
from readers.lists.importing import import_list
from readers.lists.reading import collect
from readers.users import User, add_user

OLD, NEW, OTHER = 1, 2, 3
TWO = {"al": "7", "mal": "8"}
GONE_AT = "UPDATE manga SET unavailable_at = now() WHERE id = %s"


@pytest.fixture
def mika(connection: sql.Connection) -> User:
    """Holds a title that is gone; two others are there."""
    for id in (OLD, NEW, OTHER):
        connection.execute(
            "INSERT INTO manga (id, title, slug, author, mangadex_id)"
            " VALUES (%s, 'Title ' || %s, 'slug-' || %s, 'Author ' || %s, %s)",
            [id, id, id, id, UUID(int=id)],
        )
    user = add_user(connection, "mika", None, None)
    library.add_to_library(connection, user, [library.TitleRow(OLD, "")])
    connection.execute(GONE_AT, [OLD])
    return user


def link(connection: sql.Connection, manga: int, ids: dict[str, str], is_live: bool = True) -> None:
    for site, id in ids.items():
        connection.execute(
            "INSERT INTO manga_links VALUES (%s, %s, %s, %s)",
            [manga, site, id, None if is_live else datetime.now(UTC)],
        )


def held(connection: sql.Connection, user: User) -> list[int]:
    return sorted(row.id for row in library.list_library(connection, user))


def messages(connection: sql.Connection) -> list[tuple[str, int, str]]:
    return connection.execute(
        "SELECT type, manga_id, message FROM notifications ORDER BY id"
    ).fetchall()


@pytest.mark.parametrize(
    ("live", "other", "why", "moves_itself"),
    [
        ({}, {}, None, False),
        ({"al": "7"}, {}, "same id at AniList", False),
        ({"al": "7", "mal": "8"}, {}, "same id at AniList, MyAnimeList", True),
        (
            {"al": "7", "mal": "8", "mu": "9", "kt": "6"},
            {},
            "same id at AniList, Kitsu, MyAnimeList",
            True,
        ),
        ({"al": "7"}, {"al": "7"}, None, False),
        ({"al": "7", "mal": "8"}, {"mal": "8"}, None, False),
        ({"amz": "1", "raw": "2"}, {}, None, False),
        ({"al": "8", "mal": "7"}, {}, None, False),
    ],
    ids=[
        "no id",
        "one id",
        "two ids",
        "three of four",
        "two titles",
        "ids that disagree",
        "shops",
        "another site's id",
    ],
)
def test_the_only_title_with_its_ids_is_offered_and_taken_where_two_agree(
    connection: sql.Connection,
    mika: User,
    live: dict[str, str],
    other: dict[str, str],
    why: str | None,
    moves_itself: bool,
) -> None:
    link(connection, OLD, {"al": "7", "mal": "8", "kt": "6", "amz": "1", "raw": "2"})
    link(connection, NEW, live)
    link(connection, OTHER, other)
    found = moves.find_successors(connection, mika)
    assert [each.why for each in found.values()] == ([why] if why else [])
    assert moves.move_sure(connection) == moves_itself
    assert held(connection, mika) == [NEW if moves_itself else OLD]
    assert len(messages(connection)) == moves_itself
    assert moves.move_sure(connection) == 0


@pytest.mark.parametrize("is_own", [True, False], ids=["the gone one's", "the live one's"])
def test_a_link_that_was_taken_away_counts_for_the_gone_title_only(
    connection: sql.Connection, mika: User, is_own: bool
) -> None:
    link(connection, OLD, {"al": "7"}, is_live=not is_own)
    link(connection, NEW, {"al": "7"}, is_live=is_own)
    assert bool(moves.find_successors(connection, mika)) == is_own


@pytest.mark.parametrize(
    ("title", "author", "is_offered"),
    [
        ("Title 1", "Author 1", True),
        ("TITLE 1", "author 1", True),
        ("Title 1", "Author 9", False),
        ("Title 1", None, False),
        ("Title 1", "", False),
    ],
)
def test_the_same_name_and_author_are_offered_and_never_taken(
    connection: sql.Connection, mika: User, title: str, author: str | None, is_offered: bool
) -> None:
    connection.execute(
        "UPDATE manga SET title = %s, author = %s WHERE id = %s", [title, author, NEW]
    )
    found = moves.find_successors(connection, mika)
    assert [each.why for each in found.values()] == ["same name and author"] * is_offered
    assert moves.move_sure(connection) == 0


def test_a_title_that_is_gone_too_or_in_no_library_is_left_out(
    connection: sql.Connection, mika: User
) -> None:
    link(connection, OLD, TWO)
    link(connection, NEW, TWO)
    assert moves.find_successors(connection, add_user(connection, "jo", None, None)) == {}
    connection.execute(GONE_AT, [NEW])
    assert moves.find_successors(connection) == {}


def test_status_progress_settings_and_notifications_go_along(
    connection: sql.Connection, mika: User
) -> None:
    progress.set_progress(connection, mika, library.TitleRow(OLD, ""), Decimal(12))
    preferences.set_muted(connection, mika, [library.TitleRow(OLD, "")], True)
    connection.execute(
        "UPDATE user_library SET added_at = '2020-01-01Z' WHERE user_id = %s", [mika.id]
    )
    connection.execute(
        "INSERT INTO notifications (user_id, type, manga_id, message) VALUES (%s, 'X', %s, 'x')",
        [mika.id, OLD],
    )
    moves.move(connection, mika, OLD, NEW)
    assert connection.execute(
        "SELECT manga_id, added_at FROM user_library WHERE user_id = %s", [mika.id]
    ).fetchall() == [(NEW, datetime(2020, 1, 1, tzinfo=UTC))]
    assert connection.execute(
        "SELECT current_chapter, status FROM user_progress WHERE manga_id = %s", [NEW]
    ).fetchall() == [(12, "reading")]
    assert connection.execute(
        "SELECT muted FROM library_settings WHERE manga_id = %s", [NEW]
    ).fetchall() == [(True,)]
    assert messages(connection) == [("X", NEW, "x")]


def test_what_the_reader_has_of_the_new_title_stays(connection: sql.Connection, mika: User) -> None:
    new = library.TitleRow(NEW, "")
    library.add_to_library(connection, mika, [new])
    progress.set_progress(connection, mika, new, Decimal(30))
    progress.set_progress(connection, mika, library.TitleRow(OLD, ""), Decimal(12))
    moves.move(connection, mika, OLD, NEW)
    assert held(connection, mika) == [NEW]
    assert connection.execute(
        "SELECT current_chapter FROM user_progress WHERE manga_id = %s", [NEW]
    ).fetchone() == (30,)


@pytest.mark.parametrize(("old", "new"), [(OTHER, NEW), (OLD, OLD)])
def test_a_move_that_cannot_be_changes_nothing(
    connection: sql.Connection, mika: User, old: int, new: int
) -> None:
    with pytest.raises(NotFound):
        moves.move(connection, mika, old, new)
    assert held(connection, mika) == [OLD]


def test_an_old_list_leads_to_the_new_title_also_over_two_moves(
    connection: sql.Connection, mika: User
) -> None:
    moves.move(connection, mika, OLD, NEW)
    connection.execute(GONE_AT, [NEW])
    moves.move(connection, mika, NEW, OTHER)
    read = collect("mdlist", [make_entry(mangadex_id=UUID(int=OLD), progress=4)])
    report = import_list(connection, mika, read)
    assert report.counts["already_there"] == 1
    assert held(connection, mika) == [OTHER]
    assert connection.execute(
        "SELECT current_chapter FROM user_progress WHERE manga_id = %s", [OTHER]
    ).fetchone() == (4,)


def test_a_move_back_leads_back(connection: sql.Connection, mika: User) -> None:
    moves.move(connection, mika, OLD, NEW)
    connection.execute("UPDATE manga SET unavailable_at = NULL WHERE id = %s", [OLD])
    connection.execute(GONE_AT, [NEW])
    moves.move(connection, mika, NEW, OLD)
    assert held(connection, mika) == [OLD]
    rows = connection.execute("SELECT old_id, new_id FROM manga_moves").fetchall()
    assert rows == [(NEW, OLD)]


def test_each_reader_of_a_title_is_told_once(connection: sql.Connection, mika: User) -> None:
    jo = add_user(connection, "jo", None, None)
    library.add_to_library(connection, jo, [library.TitleRow(OLD, "")])
    link(connection, OLD, TWO)
    link(connection, NEW, TWO)
    assert moves.move_sure(connection) == 2
    said = "Takes the place of Title 1, which is gone at MangaDex (same id at AniList, MyAnimeList)"
    assert messages(connection) == [("MANGA_UPDATE", NEW, said)] * 2


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 BC", "99999-01-01"])
def test_a_date_that_nobody_can_read_keeps_no_title_back(
    connection: sql.Connection, mika: User, moment: str
) -> None:
    connection.execute("UPDATE user_library SET added_at = %s", [moment])
    moves.move(connection, mika, OLD, NEW)
    assert held(connection, mika) == [NEW]
