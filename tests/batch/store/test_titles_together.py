"""Titles in PostgreSQL: what a refusal costs, and two who store at once."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

import sql
from batch.errors import BatchError
from batch.store import due_titles
from batch.store.titles import StoredPage, read_stored, store_manga, take_turn
from tests.support.titles import LATER, NOW, a_title, an_id, genres_of, outcome, row, store
from tests.support.waiting import wait_until

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


TEXTS: list[Any] = [
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
]


@pytest.mark.parametrize(("rule", "changes", "reason"), TEXTS)
def test_a_text_that_the_database_refuses_does_not_cost_the_title(
    connection: sql.Connection, rule: str, changes: dict[str, Any], reason: str
) -> None:
    store(connection, a_title(1))
    connection.execute(rule.encode())
    result = store(connection, a_title(1, status="hiatus", **changes), a_title(2, **changes))
    assert (set(result.updated), set(result.inserted)) == ({an_id(1)}, {an_id(2)})
    assert [refused.mangadex_id for refused in result.rejected] == [str(an_id(1)), str(an_id(2))]
    assert all(
        each.reason.startswith("stored without its texts, cover and genres: ")
        and reason in each.reason
        for each in result.rejected
    )
    kept, bare = row(connection, 1), row(connection, 2)
    assert (kept["status"], kept["author"], kept["cover_url"]) == (
        "hiatus", "Ine Moss", a_title().cover_url
    )  # fmt: skip
    assert genres_of(connection, 1) == {"Drama", "Mystery"}
    assert (bare["title"], bare["author"], bare["description"]) == (a_title(2).title, None, None)


@pytest.mark.parametrize(("rule", "changes", "reason"), REFUSALS)
def test_a_title_that_the_database_refuses_costs_its_neighbours_nothing(
    connection: sql.Connection, rule: str, changes: dict[str, Any], reason: str
) -> None:
    connection.execute(rule.encode())
    result = store(connection, a_title(1), a_title(2, **changes), a_title(3))
    assert set(result.inserted) == {an_id(1), an_id(3)}
    [refused] = result.rejected
    assert refused.mangadex_id == str(an_id(2))
    assert refused.reason.startswith("the database rejects it: ")
    assert reason in refused.reason
    assert refused.reason.isprintable()
    assert set(read_stored(connection, map(an_id, (1, 2, 3)))) == {an_id(1), an_id(3)}
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
    results: list[StoredPage] = []

    def store_backwards() -> None:
        with sql.connect(database_url, "second") as second:
            results.append(store(second, *reversed(page)))

    thread = threading.Thread(target=store_backwards)
    with sql.connect(database_url) as first:
        with first.transaction():
            assert outcome(store_manga(first, page, NOW)) == (20, 0, 0, 0)
            thread.start()
            wait_until(lambda: connection.execute(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE application_name = 'second' AND wait_event_type = 'Lock'").fetchone()
            )  # fmt: skip
        thread.join(10)
    assert [outcome(result) for result in results] == [(0, 0, 20, 0)]


def test_marking_titles_as_due_waits_its_turn_and_blocks_no_other_meanwhile(
    connection: sql.Connection, database_url: str
) -> None:
    store(connection, a_title(1), a_title(2))
    connection.execute("UPDATE manga SET last_chapter_check = now()")
    marked: list[int] = []

    def mark() -> None:
        with sql.connect(database_url, "second") as second, second.transaction():
            marked.append(due_titles.mark_due(second))

    thread = threading.Thread(target=mark)
    update = "UPDATE manga SET description = 'x' WHERE mangadex_id = %s"
    with sql.connect(database_url) as first, first.transaction():
        take_turn(first)
        first.execute(update, [an_id(2)])
        thread.start()
        wait_until(lambda: connection.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE application_name = 'second' AND wait_event_type = 'Lock'").fetchone()
        )  # fmt: skip
        first.execute(update, [an_id(1)])
    thread.join(10)
    assert marked == [2]


def test_a_stored_title_reads_back_as_it_is(connection: sql.Connection) -> None:
    result = store(connection, a_title())
    [stored] = read_stored(connection, [an_id(1)]).values()
    assert (stored.id, stored.mangadex_id) == (result.inserted[an_id(1)], an_id(1))
    for name in ("title", "status", "cover_url"):
        assert getattr(stored, name) == getattr(a_title(), name)
    assert (stored.version, stored.is_adopted) == (a_title().version, False)


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
    assert CountingCursor.statements <= 9
