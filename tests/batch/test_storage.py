"""Titles in PostgreSQL: what is stored, what counts as changed, and what a refusal costs."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

import sql
from batch.errors import BatchError
from batch.models import Manga
from batch.storage import StoreResult, read_manga, store_manga
from tests.batch.waiting import wait_for

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=5)


def an_id(number: int) -> UUID:
    return UUID(int=0x0D1E2F30_4152_4364_9586_000000000000 + number)


def a_title(number: int = 1, **changes: Any) -> Manga:
    usual = Manga(
        mangadex_id=an_id(number),
        title=f"Salt and Ash {number}",
        description="A kitchen.",
        author="Ine Moss",
        status="ongoing",
        total_chapters=10,
        cover_url="https://uploads.mangadex.org/covers/x/y.jpg",
        genres=("Drama", "Mystery"),
        content_rating="safe",
        numbering_restarts=False,
        created_at=NOW,
        updated_at=NOW,
        version=3,
    )
    return replace(usual, **changes)


def store(connection: sql.Connection, *mangas: Manga, now: datetime = NOW) -> StoreResult:
    with connection.transaction():
        return store_manga(connection, mangas, now)


def row(connection: sql.Connection, number: int = 1) -> dict[str, Any]:
    found = connection.execute(
        "SELECT to_jsonb(manga) FROM manga WHERE mangadex_id = %s", [an_id(number)]
    ).fetchone()
    assert found is not None
    return dict(found[0])


def genres_of(connection: sql.Connection, number: int = 1) -> set[str]:
    return set(read_manga(connection, [an_id(number)])[an_id(number)].genres)


def outcome(result: StoreResult) -> tuple[int, int, int, int]:
    """How many were inserted, updated, unchanged, rejected."""
    kinds = (result.inserted, result.updated, result.unchanged, result.rejected)
    return tuple(len(kind) for kind in kinds)  # type: ignore[return-value]


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
        ({"cover_url": None}, "cover_url", None),
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


# --- what the database refuses -----------------------------------------------------------------

TOO_LONG = "A" * 300
REFUSALS: list[Any] = [
    pytest.param(
        "ALTER TABLE manga ALTER COLUMN title TYPE varchar(255)",
        {"title": TOO_LONG},
        "value too long for type character varying(255)",
        id="title-longer-than-an-old-column",
    ),
    pytest.param(
        "ALTER TABLE genres ALTER COLUMN name TYPE varchar(50)",
        {"genres": ("Drama", TOO_LONG)},
        "value too long for type character varying(50)",
        id="genre-longer-than-an-old-column",
    ),
    pytest.param(
        "CREATE INDEX ON manga (description)",
        {"description": "".join(chr(0x4E00 + i * 7 % 20_000) for i in range(4_000))},
        "index row",
        id="text-larger-than-an-index-entry",
    ),
    pytest.param(
        "ALTER TABLE manga ADD CHECK (author <> 'Nobody')",
        {"author": "Nobody"},
        "violates check constraint",
        id="another-rule",
    ),
    pytest.param(
        "CREATE UNIQUE INDEX ON manga (author) WHERE author = 'Twin';"
        "INSERT INTO manga (title, author) VALUES ('Old', 'Twin')",
        {"author": "Twin"},
        "duplicate key",
        id="another-key",
    ),
    pytest.param(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.status = 'hiatus' THEN RAISE EXCEPTION E'not\\nhere'; END IF;"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON manga"
        " FOR EACH ROW EXECUTE FUNCTION refuse()",
        {"status": "hiatus"},
        "not here",
        id="another-trigger",
    ),
]


@pytest.mark.parametrize(("rule", "changes", "reason"), REFUSALS)
def test_a_title_that_the_database_refuses_costs_its_neighbours_nothing(
    connection: sql.Connection, rule: str, changes: dict[str, Any], reason: str
) -> None:
    connection.execute(rule.encode())
    result = store(connection, a_title(1), a_title(2, **changes), a_title(3))
    assert set(result.inserted) == {an_id(1), an_id(3)}
    [refused] = result.rejected
    assert refused.mangadex_id == str(an_id(2))
    assert refused.reason.startswith("the database refuses it: ")
    assert reason in refused.reason
    assert refused.reason.isprintable()
    assert set(read_manga(connection, map(an_id, (1, 2, 3)))) == {an_id(1), an_id(3)}
    assert genres_of(connection, 3) == {"Drama", "Mystery"}


def test_a_refused_change_leaves_the_row_as_it_was(connection: sql.Connection) -> None:
    store(connection, a_title(1), a_title(2))
    connection.execute("ALTER TABLE manga ALTER COLUMN title TYPE varchar(255)")
    before = row(connection)
    result = store(connection, a_title(title=TOO_LONG, genres=()), a_title(2), now=LATER)
    assert outcome(result) == (0, 0, 1, 1)
    assert row(connection) == before
    assert genres_of(connection) == {"Drama", "Mystery"}


def test_the_callers_transaction_goes_on_after_a_refusal(connection: sql.Connection) -> None:
    connection.execute("ALTER TABLE manga ALTER COLUMN title TYPE varchar(255)")
    with connection.transaction():
        store_manga(connection, [a_title(title=TOO_LONG)], NOW)
        connection.execute("INSERT INTO genres (name) VALUES ('after')")
    assert connection.execute("SELECT name FROM genres").fetchall() == [("after",)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE manga DROP COLUMN content_rating", 'column "content_rating"'),
        ("DROP TABLE manga_genres", 'relation "manga_genres" does not exist'),
    ],
)
def test_a_database_that_takes_no_title_at_all_is_an_error_and_no_hundred_refusals(
    connection: sql.Connection, change: str, reason: str
) -> None:
    connection.execute(change.encode())
    with pytest.raises(BatchError, match="titles cannot be stored: ") as caught:
        store(connection, a_title(1), a_title(2))
    assert reason in str(caught.value)
    assert connection.execute("SELECT count(*) FROM manga").fetchone() == (0,)


# --- together ----------------------------------------------------------------------------------


def test_two_processes_may_store_the_same_titles_at_once(
    connection: sql.Connection, database_url: str
) -> None:
    page = [a_title(number) for number in range(20)]
    results: list[StoreResult] = []

    def store_backwards() -> None:
        with sql.connect(database_url, "second") as second:
            results.append(store(second, *reversed(page)))

    thread = threading.Thread(target=store_backwards)
    with sql.connect(database_url) as first:
        with first.transaction():
            assert outcome(store_manga(first, page, NOW)) == (20, 0, 0, 0)
            thread.start()
            wait_for(lambda: connection.execute(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE application_name = 'second' AND wait_event_type = 'Lock'").fetchone()
            )  # fmt: skip
        thread.join(10)
    assert [outcome(result) for result in results] == [(0, 0, 20, 0)]


def test_titles_that_are_read_for_change_are_kept_from_others(
    connection: sql.Connection, database_url: str
) -> None:
    store(connection, a_title())
    with connection.transaction():
        stored = read_manga(connection, [an_id(1), an_id(2)], lock=True)
        assert set(stored) == {an_id(1)}
        with sql.connect(database_url) as other:
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("UPDATE manga SET title = 'x'")


def test_a_stored_title_reads_back_as_it_is(connection: sql.Connection) -> None:
    result = store(connection, a_title())
    [stored] = read_manga(connection, [an_id(1)]).values()
    assert (stored.id, stored.mangadex_id) == (result.inserted[an_id(1)], an_id(1))
    for name in ("title", "description", "author", "status", "total_chapters", "cover_url",
                 "numbering_restarts", "version"):  # fmt: skip
        assert getattr(stored, name) == getattr(a_title(), name)
    assert (stored.first_synced_at, stored.last_synced_at) == (NOW, NOW)
    assert stored.genres == {"Drama", "Mystery"}


class CountingCursor(psycopg.Cursor[Any]):
    statements = 0

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        CountingCursor.statements += 1
        return super().execute(*args, **kwargs)


@pytest.mark.parametrize("titles", [1, 100])
def test_a_page_costs_a_few_statements_however_many_titles_it_holds(
    connection: sql.Connection, monkeypatch: pytest.MonkeyPatch, titles: int
) -> None:
    connection.cursor_factory = CountingCursor
    monkeypatch.setattr(CountingCursor, "statements", 0)
    page = [a_title(number, genres=(f"Genre {number % 7}",)) for number in range(titles)]
    assert outcome(store(connection, *page)) == (titles, 0, 0, 0)
    assert CountingCursor.statements <= 8
