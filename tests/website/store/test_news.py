"""The rows of the New page: one a title and day, in order, by filters, from cursor to cursor."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

import sql
from readers.users import User, add_user
from website.rules.cursors import Cursor
from website.store import news
from website.store.news import Filter

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Catalogue:
    """Titles and chapters, in few words."""

    def __init__(self, connection: sql.Connection) -> None:
        self.connection = connection

    def title(self, name: str, *followers: User, **columns: Any) -> int:
        row = self.connection.execute(
            "INSERT INTO manga (title, slug, numbering_restarts) VALUES (%s, %s, %s) RETURNING id",
            [name, name.lower(), columns.get("restarts", False)],
        ).fetchone()
        assert row
        for user in followers:
            self.connection.execute(
                "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", [user.id, row[0]]
            )
        return int(row[0])

    def chapter(self, manga: int, number: str | None, ago: timedelta, **columns: Any) -> int:
        given: dict[str, Any] = {
            "manga_id": manga,
            "chapter_number": number or 0,
            "number_scope": "" if number else f"chapter:{uuid4()}",
            "published_at": NOW - ago,
            "mangadex_chapter_id": uuid4(),
            **columns,
        }
        row = self.connection.execute(
            f"INSERT INTO chapters ({', '.join(given)})"
            f" VALUES ({', '.join(['%s'] * len(given))}) RETURNING id".encode(),
            list(given.values()),
        ).fetchone()
        assert row
        return int(row[0])

    def told(self, user: User, manga: int, is_read: bool = False, **data: Any) -> None:
        self.connection.execute(
            "INSERT INTO notifications (user_id, type, manga_id, message, read, data)"
            " VALUES (%s, 'NEW_CHAPTER', %s, '', %s, %s)",
            [user.id, manga, is_read, json.dumps({"data": data})],
        )

    def rows(self, before: Cursor | None = None, limit: int = 100, **wanted: Any) -> list[news.Row]:
        return news.list_rows(self.connection, Filter(**wanted), before, NOW, limit)


@pytest.fixture
def catalogue(connection: sql.Connection) -> Catalogue:
    return Catalogue(connection)


def numbers(row: news.Row) -> list[str]:
    return [f"{chapter.number:f}" if chapter.number else "-" for chapter in row.chapters]


def told(rows: list[news.Row]) -> list[tuple[str, str, list[str]]]:
    return [(row.title, str(row.day), numbers(row)) for row in rows]


def test_chapters_of_a_title_and_day_are_one_row_in_the_place_of_the_newest(
    catalogue: Catalogue,
) -> None:
    blue, red = catalogue.title("Blue"), catalogue.title("Red")
    catalogue.chapter(blue, "2", 1 * HOUR)
    catalogue.chapter(red, "7", 2 * HOUR)
    catalogue.chapter(blue, "1.5", 3 * HOUR)
    catalogue.chapter(blue, "1", 13 * HOUR)  # the day before
    assert told(catalogue.rows()) == [
        ("Blue", "2026-12-03", ["1.5", "2"]),
        ("Red", "2026-12-03", ["7"]),
        ("Blue", "2026-12-02", ["1"]),
    ]


def test_pages_follow_each_other_without_gap_or_repeat(catalogue: Catalogue) -> None:
    for n in range(7):
        manga = catalogue.title(f"T{n}")
        for k in range(3):  # three titles at the same moments, and several chapters each
            catalogue.chapter(manga, str(k + 1), (n // 3 + 25 * k) * HOUR)
    whole = catalogue.rows()
    paged, before = [], None
    while found := catalogue.rows(before, limit=2):
        paged += found
        before = found[-1].cursor
    assert paged == whole
    assert len({(row.manga_id, row.day) for row in whole}) == len(whole) > 7


@pytest.mark.parametrize(
    ("columns", "ago"),
    [
        pytest.param({"unavailable_at": NOW}, HOUR, id="gone from the source"),
        pytest.param({}, -HOUR, id="not out yet"),
        pytest.param({"published_at": None}, HOUR, id="at no known time"),
        pytest.param({"published_at": "infinity"}, HOUR, id="at the end of time"),
        pytest.param({"published_at": "-infinity"}, HOUR, id="at its beginning"),
        pytest.param({"published_at": "0044-03-15 BC"}, HOUR, id="before Christ"),
    ],
)
def test_what_cannot_be_read_is_no_news_and_hides_nothing(
    catalogue: Catalogue, columns: dict[str, Any], ago: timedelta
) -> None:
    blue = catalogue.title("Blue")
    catalogue.chapter(blue, "1", 2 * HOUR)
    catalogue.chapter(blue, "2", ago, **columns)
    assert told(catalogue.rows()) == [("Blue", "2026-12-03", ["1"])]


def test_a_language_is_a_filter(catalogue: Catalogue) -> None:
    blue = catalogue.title("Blue")
    catalogue.chapter(blue, "2", 1 * HOUR, translated_language="vi")
    catalogue.chapter(blue, "1", 2 * HOUR)
    assert [numbers(row) for row in catalogue.rows(language="en")] == [["1"]]
    assert [numbers(row) for row in catalogue.rows(language="vi")] == [["2"]]
    assert catalogue.rows(language="fr") == []
    assert news.list_languages(catalogue.connection, NOW) == ["en", "vi"]


def test_mine_are_followed_titles_in_the_languages_that_the_reader_reads(
    catalogue: Catalogue, connection: sql.Connection, mika: User
) -> None:
    noor = add_user(connection, "noor", None, None)
    blue, red, green = (
        catalogue.title("Blue", mika, noor),
        catalogue.title("Red", mika),
        catalogue.title("Green", noor),
    )
    for manga in (blue, red, green):
        catalogue.chapter(manga, "1", HOUR)
        catalogue.chapter(manga, "2", HOUR, translated_language="vi")
    mine: dict[str, Any] = {"user_id": mika.id, "is_mine": True}
    assert {row.title for row in catalogue.rows(**mine)} == {"Blue", "Red"}
    assert {row.title: row.is_followed for row in catalogue.rows(user_id=mika.id)} == {
        "Blue": True,
        "Red": True,
        "Green": False,
    }
    connection.execute(
        "INSERT INTO reader_preferences (user_id, languages) VALUES (%s, '{en}')", [mika.id]
    )
    connection.execute(
        "INSERT INTO library_settings (user_id, manga_id, languages) VALUES (%s, %s, '{vi}')",
        [mika.id, red],
    )
    assert {row.title: numbers(row) for row in catalogue.rows(**mine)} == {
        "Blue": ["1"],
        "Red": ["2"],
    }


@pytest.mark.parametrize(
    ("data", "unread"),
    [
        pytest.param({"chapter": 2, "language": "en"}, ["2"], id="one"),
        pytest.param({"chapter": 2.5, "language": "en"}, ["2.5"], id="a decimal"),
        pytest.param(
            {"chapter": 3, "chapters": [2, 2.5, 3], "language": "en"},
            ["2", "2.5", "3"],
            id="several",
        ),
        pytest.param({"chapter": 2, "language": "vi"}, [], id="another language"),
        pytest.param({"chapter": 2}, ["2"], id="no language"),
        pytest.param({"chapter": None}, ["-"], id="without number"),
        pytest.param({"chapter": "2", "chapters": "x"}, ["2"], id="of another program"),
        pytest.param({"chapter": {"a": [1]}}, [], id="no number at all"),
        pytest.param({}, ["-"], id="empty"),
    ],
)
def test_unread_is_what_the_reader_was_told_of(
    catalogue: Catalogue, mika: User, data: dict[str, Any], unread: list[str]
) -> None:
    blue = catalogue.title("Blue", mika)
    for number in ("2", "2.5", "3", None):
        catalogue.chapter(blue, number, HOUR)
    catalogue.told(mika, blue, is_read=True, chapter=3)
    catalogue.told(mika, blue, **data)
    rows = catalogue.rows(user_id=mika.id, is_unread=True)
    assert [n for row in rows for n in numbers(row)] == unread
    [whole] = catalogue.rows(user_id=mika.id)
    marked = [f"{c.number:f}" if c.number else "-" for c in whole.chapters if c.is_unread]
    assert marked == unread
    assert not any(c.is_unread for row in catalogue.rows() for c in row.chapters)


def test_a_volume_counts_only_where_numbering_restarts(catalogue: Catalogue) -> None:
    for restarts in (True, False):
        manga = catalogue.title(f"T{restarts}", restarts=restarts)
        catalogue.chapter(manga, "1", HOUR, volume="2")
    volumes = {row.title: row.chapters[0].volume for row in catalogue.rows()}
    assert volumes == {"TTrue": "2", "TFalse": None}


def test_groups_stand_with_their_chapters(catalogue: Catalogue) -> None:
    chapter = catalogue.chapter(catalogue.title("Blue"), "1", HOUR)
    for n, name in ((1, "Q"), (2, "A" * 500)):
        catalogue.connection.execute(
            "WITH g AS (INSERT INTO scanlation_groups VALUES (%s, %s) RETURNING id)"
            " INSERT INTO chapter_groups SELECT %s, id FROM g",
            [UUID(int=n), name, chapter],
        )
    [row] = catalogue.rows()
    assert row.chapters[0].groups == ((UUID(int=2), "A" * 100), (UUID(int=1), "Q"))
    assert row.chapters[0].number == Decimal(1)


def test_a_title_may_be_as_long_as_it_likes(catalogue: Catalogue) -> None:
    catalogue.chapter(catalogue.title("x" * 2_000), "1", HOUR)
    assert len(catalogue.rows()[0].title) == 300
