"""What command lines print: usage errors, names from outside, and output that is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from mangahub.command_line import printable
from tests.support.paths import ROOT

BAD = {
    "batch": ["chapter-check", "--limit", "many"],
    "notify_server": ["user", "add", ""],
}


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)


@pytest.mark.slow
@pytest.mark.parametrize("program", BAD)
def test_a_usage_error_is_a_line_and_with_json_an_object_too(program: str) -> None:
    plain, as_json = run(program, *BAD[program]), run(program, *BAD[program], "--json")
    assert (plain.returncode, plain.stdout) == (2, "")
    assert (as_json.returncode, as_json.stderr) == (2, plain.stderr)
    said = json.loads(as_json.stdout.splitlines()[-1])
    assert said["exit_code"] == 2
    assert said["error"] == plain.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_are_no_errors(arguments: list[str]) -> None:
    done = run("batch", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Blue 長 – é", "Blue 長 – é"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("left\u202eright", r"left\u202eright"),
        ("\udcff", r"\udcff"),
    ],
    ids=ascii,
)
def test_what_could_steer_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_characters_can_be_kept() -> None:
    assert printable("a\tb\n\x1b", keep="\n\t") == "a\tb\n\\x1b"


HOSTILE = "\x1b[31m長\u202e\n9\tx"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", r"\x1b[31m長\u202e\n9\tx"), ("latin-1", r"\x1b[31m\u9577\u202e\n9\tx")],
)
def test_names_from_the_database_are_one_harmless_cell_in_any_encoding(
    encoding: str, shown: str, database_url: str, connection: psycopg.Connection, home: Path
) -> None:
    connection.execute(
        "WITH u AS (INSERT INTO users (id, username, email, password_hash) "
        "  VALUES (gen_random_uuid(), %(name)s, 'e', '') RETURNING id), "
        "m AS (INSERT INTO manga (slug, title) VALUES ('s', %(name)s) RETURNING id) "
        "INSERT INTO user_library (user_id, manga_id) SELECT u.id, m.id FROM u, m",
        {"name": HOSTILE},
    )
    for arguments in (["user", "list"], ["library", "list", HOSTILE]):
        (line,) = said("notify_server", *arguments, url=database_url, home=home, encoding=encoding)
        assert line.partition("\t")[2] == shown


def said(program: str, *arguments: str, url: str, home: Path, encoding: str) -> list[str]:
    """Return the lines that a program prints, where all but this database is out of reach."""
    environ = {
        "DATABASE_URL": url,
        "MANGAHUB_DATA": str(home),
        "PYTHONIOENCODING": encoding,
        "UDP_SERVER_URL": "http://127.0.0.1:9",
        "MANGADEX_API_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=20,
    )
    return done.stdout.decode(encoding).split("\n")[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@pytest.mark.parametrize("command", ["status", "relay", "doctor"])
def test_no_text_from_outside_begins_a_line_or_steers_a_terminal(
    command: str, encoding: str, database_url: str, connection: psycopg.Connection, home: Path
) -> None:
    connection.execute(
        "WITH m AS (INSERT INTO manga (slug, title) VALUES ('s', %s) RETURNING id, title)"
        " INSERT INTO notification_events"
        " (type, manga_id, payload, dedup_key, last_error, rejected_at)"
        " SELECT type, id, jsonb_build_object('title', title), type, title, moment"
        " FROM m, (VALUES ('new-manga', now()), ('new-chapter', NULL)) e (type, moment)",
        [HOSTILE],
    )
    connection.execute(
        "UPDATE sync_state SET status = 'error', error_message = title, last_cursor = title,"
        " metadata = jsonb_build_object('rejected', jsonb_build_object(title,"
        " jsonb_build_object('reason', title, 'attempts', 1))) FROM manga"
    )
    lines = said("batch", command, url=database_url, home=home, encoding=encoding)
    assert lines and "Traceback" not in str(lines)
    assert all(line.isprintable() or line.replace("\t", "").isprintable() for line in lines)
    assert not [line for line in lines if line.startswith("9")]


SAY = "import sys; from mangahub.command_line import write; print(write('x' * 99), file=sys.stderr)"


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_interpreter_exits_without_another_error() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", SAY], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=20
        )
    said = b"the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (0, said)


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["| true", ">&-"])
def test_a_reader_that_has_gone_is_no_failure(redirection: str) -> None:
    command = f'"$0" -c "$1" {redirection}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, f"import time; time.sleep(0.3); {SAY}"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, b"None\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "arguments"), [("batch", ["status"]), ("notify_server", ["user", "add", "mirela"])]
)
def test_a_command_whose_output_is_lost_has_failed_in_one_line(
    program: str, arguments: list[str], database_url: str, home: Path
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", program, *arguments],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "DATABASE_URL": database_url, "MANGAHUB_DATA": str(home)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("the output cannot be written: No space left on device")
