"""`import` and `export`: a list comes, and leaves, and comes again without a change."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

import sql
from tests.support import lists

EMPTY = {"matched": 0, "added": 0, "already_there": 0, "wanted": 0, "doubtful": 0, "unmatched": 0}


@pytest.fixture
def titles(connection: sql.Connection, make_user: Any, make_manga: Any) -> list[int]:
    """Three titles: one with links, one that is gone, one with a hostile name."""
    make_user("ann")
    ids = [make_manga(title) for title in ("Blue", "Gone & Lost", "=cmd|' /C calc'!A0")]
    for id in ids:
        connection.execute(
            "UPDATE manga SET mangadex_id = %s WHERE id = %s", [str(uuid.UUID(int=id)), id]
        )
    connection.execute("UPDATE manga SET unavailable_at = now() WHERE id = %s", [ids[1]])
    for site, external_id in (("mal", "2"), ("al", "30002"), ("mu", "axmopy6"), ("kt", "slug")):
        connection.execute(
            "INSERT INTO manga_links (manga_id, site, external_id) VALUES (%s, %s, %s)",
            [ids[0], site, external_id],
        )
    return ids


@pytest.fixture
def library(connection: sql.Connection, titles: list[int], run: Any, tmp_path: Path) -> Any:
    """All three in ann's library, two of them with a standing."""
    assert run("library", "add", "ann", *(f"id:{id}" for id in titles)).code == 0
    connection.execute(
        "INSERT INTO user_progress (user_id, manga_id, status, current_chapter)"
        " SELECT user_id, manga_id, CASE WHEN manga_id = %s THEN 'reading' ELSE 'completed' END,"
        " 12 FROM user_library WHERE manga_id <> %s",
        [titles[0], titles[2]],
    )
    return titles


def state(connection: sql.Connection) -> list[Any]:
    tables = ("user_library", "user_progress", "import_entries", "library_settings")
    return [
        connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode()).fetchall()
        for table in tables
    ]


def test_the_json_is_as_promised(run: Any, titles: list[int], tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("title,mangadex_id,status,progress\nBlue,,on hold,12.5\nNobody,,dropped,\n")
    body = run("import", "ann", str(file), "--json").json
    assert {name: body[name] for name in ("format", "dry_run", "ignored", *EMPTY)} == {
        **EMPTY,
        "format": "csv",
        "dry_run": False,
        "matched": 1,
        "added": 1,
        "unmatched": 1,
        "ignored": 0,
    }
    assert body["entries"][0] == {
        "title": "Blue",
        "status": "reading",
        "progress": 12.5,
        "match": "title",
        "manga_id": titles[0],
        "candidates": [],
        "why": "its name",
        "state": "matched",
    }
    assert body["entries"][1]["match"] == "none" and body["entries"][1]["manga_id"] is None


def test_the_table_has_counts_first_then_what_is_doubtful_and_unmatched(
    run: Any, titles: list[int], make_manga: Any, tmp_path: Path
) -> None:
    make_manga("Blue")
    file = tmp_path / "list.txt"
    file.write_text("Nobody\nBlue\nhttps://example.org/\nNot a\u202e Title\n")
    lines = run("import", "ann", str(file), "--dry-run").stdout.splitlines()
    assert lines[0] == "nothing was changed: this was a dry run"
    assert lines[1:8] == [
        "matched\t0",
        "added\t0",
        "already there\t0",
        "wanted\t0",
        "doubtful\t1",
        "unmatched\t2",
        "ignored\t1",
    ]
    assert lines[8] == "ignored: addresses of other sites\t1"
    assert lines[9].startswith("doubtful\tBlue: 2 titles have its name: id:")
    assert lines[10] == "unmatched\tNobody: no title has its name"
    assert "kept" in lines[-1]


def test_several_files_are_one_list(run: Any, titles: list[int], tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.xml"
    one.write_text("Blue\n")
    two.write_bytes(lists.mal("<manga_title>Blue</manga_title><my_status>Dropped</my_status>"))
    body = run("import", "ann", str(one), str(two), "--json").json
    assert (body["format"], body["added"], len(body["entries"])) == ("text,mal", 1, 1)
    assert body["entries"][0]["status"] == "dropped"


def test_a_list_may_come_from_stdin(
    run: Any, titles: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"Blue\n"))))
    assert run("import", "ann", "-", "--json").json["added"] == 1


@pytest.mark.parametrize(
    ("name", "content", "more", "code", "words"),
    [
        ("absent", None, [], 1, "absent cannot be read: No such file"),
        (".", None, [], 1, "cannot be read: Is a directory"),
        ("nul\0", None, [], 1, "cannot be read"),
        ("list", b"", [], 1, "list: the file is empty"),
        ("list", b"\xff\xd8\xff", [], 1, "JPEG"),
        ("list", b"A\n", ["--format", "mihon"], 1, "no backup of Mihon"),
        ("list", b"A\n", ["--format", "epub"], 2, "'mihon', 'mal'"),
    ],
)
def test_what_cannot_be_imported_is_named(
    run: Any,
    titles: list[int],
    tmp_path: Path,
    name: str,
    content: bytes | None,
    more: list[str],
    code: int,
    words: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    good = tmp_path / "good"
    good.write_text("Blue\n")
    finished = run("import", "ann", str(good), f"{tmp_path}/{name}", *more, "--json")
    assert finished.code == code
    assert words in finished.stderr.splitlines()[-1]
    assert finished.json["exit_code"] == code
    assert run("library", "list", "ann").stdout == ""


@pytest.mark.parametrize("format", ["csv", "json", "mal", "mihon"])
def test_an_export_imported_again_changes_nothing(
    run: Any, library: list[int], connection: sql.Connection, tmp_path: Path, format: str
) -> None:
    file = tmp_path / "list"
    body = run("export", "ann", "--format", format, "--output", str(file), "--json").json
    left_out = 2 if format == "mal" else 0
    assert (body["titles"], body["left_out"]) == (3 - left_out, left_out)
    before = state(connection)
    again = run("import", "ann", str(file), "--json").json
    assert state(connection) == before
    assert (again["format"], again["already_there"]) == (format, 3 - left_out)
    assert {
        **EMPTY,
        **{k: again[k] for k in EMPTY if k not in ("matched", "already_there")},
    } == EMPTY


@pytest.mark.parametrize("format", ["csv", "json", "mihon"])
def test_an_export_brings_another_reader_the_same(
    run: Any,
    library: list[int],
    make_user: Any,
    connection: sql.Connection,
    tmp_path: Path,
    format: str,
) -> None:
    file = tmp_path / "list"
    run("export", "ann", "--format", format, "--output", str(file))
    bob = make_user("bob")
    assert run("import", "bob", str(file), "--json").json["added"] == 3
    rows = connection.execute(
        "SELECT user_id = %s, manga_id, status, current_chapter FROM user_progress", [bob]
    ).fetchall()
    assert {row[1:] for row in rows if row[0]} == {row[1:] for row in rows if not row[0]}


def test_a_csv_computes_nothing_in_a_spreadsheet(run: Any, library: list[int]) -> None:
    lines = run("export", "ann", "--format", "csv").stdout.splitlines()
    assert lines[0] == "title,mangadex_id,status,progress,author,al,mal,mu,kt,ap"
    assert any(line.startswith("'=cmd") for line in lines)
    assert any(line.endswith(",reading,12,,30002,2,axmopy6,slug,") for line in lines)


@pytest.mark.parametrize("format", ["csv", "json", "mal", "mihon"])
def test_rows_of_other_programs_are_exported_as_far_as_they_make_sense(
    run: Any, library: list[int], connection: sql.Connection, tmp_path: Path, format: str
) -> None:
    connection.execute("ALTER TABLE user_progress DROP CONSTRAINT user_progress_status_check")
    connection.execute("UPDATE user_progress SET status = 'on_hold', current_chapter = -5")
    connection.execute("UPDATE user_library SET added_at = '0001-01-01'")
    connection.execute("UPDATE manga SET title = E'A\x0b]]> & \x7f' WHERE id = %s", [library[0]])
    for site in ("al", "kt"):
        connection.execute(
            "INSERT INTO manga_links (manga_id, site, external_id) VALUES (%s, %s, %s)",
            [library[0], site, "9" * 40],
        )
    file = tmp_path / "list"
    assert run("export", "ann", "--format", format, "--output", str(file)).code == 0
    again = run("import", "ann", str(file), "--json").json
    assert again["already_there"] == len(again["entries"]) == (1 if format == "mal" else 3)
    assert {each["status"] for each in again["entries"]} <= {"reading", None}


def test_json_on_stdout_is_one_object_with_or_without_json(run: Any, library: list[int]) -> None:
    plain = run("export", "ann", "--format", "json").stdout
    assert len(json.loads(plain)["entries"]) == 3
    assert len(run("export", "ann", "--format", "json", "--json").json["entries"]) == 3
    gone = [row["gone"] for row in json.loads(plain)["entries"]]
    assert sorted(gone) == [False, False, True]


def test_what_a_format_cannot_hold_is_counted(run: Any, library: list[int]) -> None:
    finished = run("export", "ann", "--format", "mal")
    assert "2 titles without a MyAnimeList id left out" in finished.stderr
    assert "<manga_mangadb_id>2</manga_mangadb_id>" in finished.stdout


def test_a_backup_tells_trackers_and_chapters_that_were_read(
    run: Any, library: list[int], connection: sql.Connection, tmp_path: Path
) -> None:
    chapter_id = uuid.uuid4()
    for number, id in ((3, chapter_id), (13, uuid.uuid4())):
        connection.execute(
            "INSERT INTO chapters (manga_id, chapter_number, mangadex_chapter_id)"
            " VALUES (%s, %s, %s)",
            [library[0], number, str(id)],
        )
    file = tmp_path / "backup.tachibk"
    assert run("export", "ann", "--format", "mihon", "--output", str(file)).code == 0
    content = gzip.decompress(file.read_bytes())
    assert f"/chapter/{chapter_id}".encode() in content
    assert content.count(b"/chapter/") == 1
    for tracker in (1, 2, 7, 60):
        assert lists.message((1, tracker))[:2] in content


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["export", "nobody"], 1, "no user"),
        (["export", "ann", "--format", "mihon", "--json"], 2, "--output FILE"),
        (["export", "ann", "--output", "/nowhere/x"], 1, "cannot be written"),
        (["export", "ann", "--output", "a\0b"], 1, "cannot be written"),
    ],
)
def test_exports_that_cannot_be_written_say_why(
    run: Any, titles: list[int], arguments: list[str], code: int, words: str
) -> None:
    finished = run(*arguments)
    assert finished.code == code
    assert words in finished.stderr.splitlines()[-1]


def test_a_file_that_cannot_be_replaced_stays(run: Any, library: list[int], tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    assert run("export", "ann", "--output", str(tmp_path / "dir")).code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["dir"]
