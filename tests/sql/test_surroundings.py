"""What no program can work with is refused at once, in one line that names the cure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

import sql
from batch.store import locks
from sql.state import workflows
from tests.support.pooler import needs_pooler, pooler

Run = Callable[..., Any]


@needs_pooler
@pytest.mark.parametrize("order", [0, 1], ids=["the last session first", "all in turn"])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_lends_sessions_for_a_transaction_is_refused(
    database_url: str, home: Path, mode: str, order: int
) -> None:
    with pooler(database_url, home, pool_mode=mode, server_round_robin=order) as url:
        with pytest.raises(sql.Unsuitable, match="pool_mode = session"):
            sql.connect(url)


@needs_pooler
def test_a_pooler_that_lends_one_session_at_most_is_refused(database_url: str, home: Path) -> None:
    with pooler(database_url, home, pool_mode="transaction", default_pool_size=1) as url:
        with pytest.raises(sql.Unsuitable, match="pool_mode = session"):
            sql.connect(url)


@needs_pooler
def test_a_pooler_in_session_mode_works(
    database_url: str, home: Path, connection: sql.Connection
) -> None:
    with pooler(database_url, home, pool_mode="session") as url:
        with sql.connect(url) as first, sql.connect(url):
            locks.take_lock(first, "chapter_feed")
            assert workflows.is_running(connection, "chapter_feed")
            assert first.execute("SHOW IntervalStyle").fetchone() == ("postgres",)


@needs_pooler
def test_a_pooler_with_a_single_session_works_in_session_mode(
    database_url: str, home: Path, mocker: Any
) -> None:
    mocker.patch("sql.connection._FIRST_ANSWER_S", 0.2)
    with pooler(database_url, home, pool_mode="session", default_pool_size=1) as url:
        with sql.connect(url) as only:
            with pytest.raises(sql.NoFreeConnection, match=r"it has no free connection$"):
                sql.connect(url)
            assert only.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def latin_url(admin: sql.Connection, postgres: str) -> Iterator[str]:
    """A database in LATIN1, as an old server has them."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    provider = "LOCALE_PROVIDER libc" if admin.info.server_version >= 150000 else ""
    admin.execute(
        f"CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' {provider}"
        " TEMPLATE template0".encode()
    )
    yield urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def test_a_database_in_another_encoding_is_refused(latin_url: str) -> None:
    with pytest.raises(sql.Unsuitable, match=r"has the encoding LATIN1.* ENCODING 'UTF8'"):
        sql.connect(latin_url)


def refuse(url: str, run_program: Run, words: str, *commands: str) -> None:
    """Each command refuses the database, and `doctor` names what is wrong."""
    env = {"DATABASE_URL": url, "UDP_PORT": "0", "UDP_HTTP_PORT": "0"}
    for program, *command in (each.split() for each in commands):
        done = run_program(program, *command, env=env)
        lines = [line for line in done.stderr.splitlines() if words in line]
        assert (done.code, len(lines)) == (1, 1), done.stderr
        assert "Traceback" not in done.stderr
    source = {"MANGADEX_API_URL": "http://127.0.0.1:9"}
    done = run_program("batch", "doctor", "--json", env=env | source)
    check = done.json["checks"]["database"]
    assert (done.code, check["ok"]) == (1, False)
    assert words in check["fact"] and "docs/operations.md" in check["cure"]


@needs_pooler
def test_migrate_changes_nothing_behind_a_pooler_of_transactions(
    empty_database_url: str, home: Path, run_program: Run
) -> None:
    with pooler(empty_database_url, home, pool_mode="transaction") as url:
        refuse(url, run_program, "set it to session mode", "batch migrate")
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('manga')").fetchone() == (None,)


def test_every_program_refuses_another_encoding(latin_url: str, run_program: Run) -> None:
    commands = ("batch migrate", "batch chapter-feed", "notify_server serve")
    refuse(latin_url, run_program, "has the encoding LATIN1", *commands)
