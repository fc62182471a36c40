"""An import fills the library, keeps what it does not find, and repeats without harm."""

from __future__ import annotations

import io
import threading
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

import sql
from readers.errors import NotFound
from readers.lists.entries.entry import make_entry
from readers.lists.importing import import_list
from readers.lists.reading import ReadList, read_list
from readers.users import User
from tests.support import lists

ID = UUID("a1c7c817-4e59-43b7-9365-09675a149a6f")
HEADER = "title,mangadex_id,status,progress,mal\n"


def test_what_is_matched_comes_into_the_library_with_status_and_progress(
    add_title: Any, bring: Any, standing: Any
) -> None:
    one, two, three = add_title("One", id=ID), add_title("Two", mal="2"), add_title("Three")
    report = bring(f"{HEADER}One,{ID},completed,12.5,\n,,on hold,3,2\nThree,,,,\n")
    assert report.counts == {
        "matched": 3,
        "added": 3,
        "already_there": 0,
        "wanted": 0,
        "doubtful": 0,
        "unmatched": 0,
        "ignored": 0,
    }
    assert [each.match.by for each in report.entries] == ["id", "link", "title"]
    assert standing(one) == ("completed", 12)
    assert standing(two) == ("reading", 3)
    assert standing(three) is None


def test_the_same_list_again_changes_nothing(add_title: Any, bring: Any, everything: Any) -> None:
    add_title("One", id=ID)
    add_title("Like This A")
    add_title("Like This A")
    text = (
        f"{HEADER}One,{ID},reading,12,\nLike This A,,dropped,1.5,\n"
        f"Nobody,,reading,3,99\n,{UUID(int=1)},,,\n"
    )
    first = bring(text)
    before = everything()
    again = bring(text)
    assert everything() == before
    assert (first.counts["added"], again.counts["added"]) == (1, 0)
    assert again.counts == {**first.counts, "added": 0, "already_there": 1}
    assert [each.match for each in first.entries] == [each.match for each in again.entries]


def test_a_dry_run_says_the_same_and_changes_nothing(
    add_title: Any, bring: Any, everything: Any
) -> None:
    add_title("One")
    before = everything()
    report = bring("title,status\nOne,reading\nNobody,\n", is_dry_run=True)
    assert everything() == before
    assert report.as_json()["dry_run"] is True
    assert report.counts == bring("title,status\nOne,reading\nNobody,\n").counts


@pytest.mark.parametrize(
    ("before", "listed", "after"),
    [
        (("completed", 20), "reading,9", ("completed", 20)),
        (("reading", 9), "completed,20", ("completed", 20)),
        (("reading", 9), "plan to read,", ("reading", 9)),
        (("plan_to_read", 0), "reading,", ("reading", 0)),
        (("dropped", 4), "reading,2", ("reading", 4)),
        (("reading", 4), "dropped,7", ("reading", 7)),
        (("plan_to_read", 0), ",5", ("plan_to_read", 5)),
    ],
)
def test_a_status_never_falls_back_and_the_higher_progress_counts(
    add_title: Any,
    bring: Any,
    standing: Any,
    connection: sql.Connection,
    user: User,
    before: tuple[str, int],
    listed: str,
    after: tuple[str, int],
) -> None:
    one = add_title("One")
    connection.execute(
        "INSERT INTO user_progress (user_id, manga_id, status, current_chapter)"
        " VALUES (%s, %s, %s, %s)",
        [user.id, one, *before],
    )
    bring(f"title,status,progress\nOne,{listed}\n")
    assert standing(one) == after


def test_entries_of_one_title_are_added_once(add_title: Any, bring: Any, standing: Any) -> None:
    one = add_title("One", id=ID, mal="2")
    report = bring(f"{HEADER}One,{ID},reading,3,\nOne,,completed,2,2\nOne,,,9,\n")
    assert (report.counts["added"], report.counts["already_there"]) == (1, 2)
    assert standing(one) == ("completed", 9)


def test_a_dropped_title_is_added_without_news(
    add_title: Any, bring: Any, connection: sql.Connection
) -> None:
    add_title("One")
    two = add_title("Two")
    bring("title,status\nOne,reading\nTwo,dropped\n")
    rows = connection.execute("SELECT manga_id, muted FROM library_settings").fetchall()
    assert rows == [(two, True)]


def test_what_the_list_says_is_read_becomes_read(
    add_title: Any, bring: Any, connection: sql.Connection, user: User
) -> None:
    one = add_title("One")
    for chapter in (3, 4.5, 5, None):
        connection.execute(
            "INSERT INTO notifications (user_id, type, manga_id, message, data)"
            " VALUES (%s, 'NEW_CHAPTER', %s, 'x', %s)",
            [user.id, one, Jsonb({"data": {"chapter": chapter}})],
        )
    bring("title,progress\nOne,4.5\n")
    rows = connection.execute("SELECT read FROM notifications ORDER BY id").fetchall()
    assert rows == [(True,), (True,), (False,), (False,)]


def test_what_is_not_found_is_kept_as_the_list_had_it(
    add_title: Any, bring: Any, connection: sql.Connection
) -> None:
    names = [add_title("Home"), add_title("Home")]
    bring(f"{HEADER}Home,,on hold,12.5,7\nGone,{ID},,,\nNobody,,,,\n")
    rows = connection.execute(
        "SELECT entry_key, title, state, status, progress, candidates, ids, mangadex_id"
        " FROM import_entries ORDER BY id"
    ).fetchall()
    assert [row[:3] for row in rows] == [
        ("mal:7", "Home", "doubtful"),
        (f"mangadex:{ID}", "Gone", "wanted"),
        ("title:nobody", "Nobody", "unmatched"),
    ]
    assert rows[0][3:7] == ("reading", 12.5, names, {"mal": "7"})
    assert rows[1][7] == ID


def test_what_is_matched_later_is_no_longer_open(
    add_title: Any, bring: Any, connection: sql.Connection, standing: Any
) -> None:
    bring(f"{HEADER}One,,reading,7,\n")
    one = add_title("One")
    assert bring("title\nOne\n").counts["added"] == 1
    rows = connection.execute("SELECT state, manga_id, match FROM import_entries").fetchall()
    assert rows == [("matched", one, "title")]
    assert standing(one) == ("reading", 7)


def test_a_matched_entry_stays_so_when_its_name_becomes_common(add_title: Any, bring: Any) -> None:
    bring("title\nOne\n")
    one = add_title("One")
    bring("title\nOne\n")
    add_title("One")
    [again] = bring("title\nOne\n").entries
    assert (again.match.state, again.match.manga_id) == ("matched", one)


def test_two_imports_of_a_reader_at_once_end_as_one(
    add_title: Any, database_url: str, connection: sql.Connection, user: User
) -> None:
    for n in range(150):
        add_title(f"A Title {n:03} {'x' * n}")
    text = "title,status,progress\n" + "".join(
        f"A Title {n:03} {'x' * n},reading,{n}\n" for n in range(300)
    )
    read = read_list(io.BytesIO(text.encode()))
    reports: list[Any] = []

    def run(entries: list[Any]) -> None:
        with sql.connect(database_url) as own:
            reports.append(import_list(own, user, ReadList("csv", entries)))

    threads = [
        threading.Thread(target=run, args=[each])
        for each in (read.entries, read.entries[::-1], read.entries)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [report.counts["matched"] for report in reports] == [150] * 3
    assert sum(report.counts["added"] for report in reports) == 150
    for table, count in (("user_library", 150), ("user_progress", 150), ("import_entries", 150)):
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        assert row == (count,), table


def test_an_import_that_fails_half_way_is_completed_by_the_next(
    add_title: Any, bring: Any, connection: sql.Connection
) -> None:
    text = "title,status\n" + "".join(f"{'x' * n}{n},reading\n" for n in range(1, 251))
    for n in range(1, 251):
        add_title(f"{'x' * n}{n}")
    connection.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'the disk is full'; END $$"
    )
    connection.execute(
        "CREATE TRIGGER fail BEFORE INSERT ON user_library FOR EACH ROW"
        " WHEN (NEW.manga_id = 230) EXECUTE FUNCTION fail()"
    )
    with pytest.raises(psycopg.errors.RaiseException):
        bring(text)
    done = "SELECT (SELECT count(*) FROM user_library), (SELECT count(*) FROM user_progress)"
    assert connection.execute(done).fetchone() == (200, 200)
    connection.execute("DROP TRIGGER fail ON user_library")
    assert bring(text).counts["added"] == 50
    assert connection.execute(done).fetchone() == (250, 250)


def test_a_reader_who_is_gone_is_named(connection: sql.Connection) -> None:
    nobody = User(UUID(int=5), "nobody")
    entries = ReadList("text", [])
    assert import_list(connection, nobody, entries).entries == []
    with pytest.raises(NotFound, match="nobody"):
        import_list(connection, nobody, ReadList("text", [make_entry(title="A")]))


def test_the_date_of_the_list_is_the_library_s(
    add_title: Any, bring: Any, connection: sql.Connection
) -> None:
    add_title("One", id=ID)
    bring(lists.backup(lists.manga(f"/manga/{ID}", "One", (13, 1_600_000_000_000))))
    row = connection.execute("SELECT added_at::date::text FROM user_library").fetchone()
    assert row == ("2020-09-13",)
