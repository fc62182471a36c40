"""Backup and restore: the commands of docs/operations.md bring everything back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sql
from mangadex_sim import Simulator
from mangahub.env import Env
from sql.embedded import binaries
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "operations.md"
Run = Callable[..., Any]
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def find_programs(server_major: int) -> Path:
    """A directory with pg_dump that is not older than the server; else the test is skipped."""
    folders = [binaries.find(Env({}), None).folder]
    if system := shutil.which("pg_dump"):
        folders.append(Path(system).parent)
    for folder in folders:
        done = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True)
        match = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
        if match and int(match[1]) >= server_major:
            return folder
    pytest.skip(f"there is no pg_dump of PostgreSQL {server_major} or newer")


@pytest.fixture
def shell(
    connection: sql.Connection, database_url: str, empty_database_url: str, home: Path
) -> Callable[[str], None]:
    """Run a documented command with the variables that the page names."""
    programs = find_programs(connection.info.server_version // 10_000)
    variables = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": database_url,
        "EMPTY_DATABASE_URL": empty_database_url,
    }

    def run(command: str) -> None:
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=home,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    return run


def documented() -> dict[str, str]:
    """The commands of the section on backups, by their programs."""
    section = PAGE.read_text().split("\n## Back up\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    commands = "".join(blocks).replace("\\\n", " ").splitlines()
    return {command.split()[0]: command for command in commands}


def contents(connection: sql.Connection) -> dict[str, tuple[int, str]]:
    """Every table: how many rows, and a digest of them all."""
    names = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    ).fetchall()
    found = {}
    for (name,) in names:
        digest = "md5(string_agg(t::text, '|' ORDER BY t::text))"
        row = connection.execute(f"SELECT count(*), {digest} FROM {name} t".encode()).fetchone()
        assert row
        found[name] = (row[0], row[1] or "")
    return found


def sequences(connection: sql.Connection) -> dict[str, int | None]:
    rows = connection.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall()
    return dict(rows)


def structure(connection: sql.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " UNION ALL SELECT 'constraint', conrelid::regclass || ' ' || pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        " UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        " ORDER BY 1, 2"
    ).fetchall()


def fill(connection: sql.Connection, run_batch: Run, env: dict[str, str]) -> None:
    """Titles of a real run, a reader with odd characters, events in all states, an id to come."""
    with Simulator(titles=30, rate=0) as sim:
        source = {"MANGADEX_API_URL": sim.url, "MANGA_SYNC_RATE_PER_SECOND": "200"}
        assert run_batch("initial-sync", "--count", "20", env=env | source).code == 0
    connection.execute("INSERT INTO users (username) VALUES ('mio'), (E'zo\\u00eb\\n\\'\"\\\\N')")
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id) SELECT users.id, manga.id FROM users, manga"
    )
    connection.execute(
        "INSERT INTO notification_events (dedup_key, type, manga_id, payload, accepted_at)"
        " SELECT 'new-manga:' || id, 'new-manga', id, '{\"n\": 10.50}',"
        " CASE WHEN id % 2 = 0 THEN now() END FROM manga"
    )
    connection.execute(
        "INSERT INTO notification_receipts (event_id, type) SELECT dedup_key, type"
        " FROM notification_events WHERE accepted_at IS NOT NULL"
    )
    connection.execute(
        "INSERT INTO notifications (user_id, message, read, event_id, data)"
        " SELECT users.id, 'news', manga.id % 3 = 0, 'new-manga:' || manga.id, '{\"data\": {}}'"
        " FROM users, manga"
    )


def test_a_restored_database_is_the_one_that_was_dumped(
    connection: sql.Connection,
    database_url: str,
    empty_database_url: str,
    run_batch: Run,
    run_program: Run,
    shell: Callable[[str], None],
) -> None:
    fill(connection, run_batch, {"DATABASE_URL": database_url})
    key = run_program("notify_server", "key", "mio", env={"DATABASE_URL": database_url}).stdout
    commands = documented()
    shell(commands["pg_dump"])
    shell(commands["pg_restore"])
    with sql.connect(empty_database_url) as restored:
        sql.require_current(restored)
        assert contents(restored) == contents(connection)
        assert structure(restored) == structure(connection)
        assert sequences(restored) == sequences(connection)
        assert contents(restored)["manga"][0] == 20
    assert sql.migrate(empty_database_url) == []

    there = {"DATABASE_URL": empty_database_url}
    status = run_batch("status", "--json", env=there)
    assert (status.code, status.json["events_owed"]) == (0, 10)
    # The same secret makes the same keys; without it they all change.
    assert run_program("notify_server", "key", "mio", env=there).stdout == key
    other = there | {"NOTIFY_SECRET": "another secret, long enough"}
    assert run_program("notify_server", "key", "mio", env=other).stdout != key


def test_ids_of_new_notifications_leave_a_gap_after_a_restore(
    connection: sql.Connection, empty_database_url: str, shell: Callable[[str], None]
) -> None:
    connection.execute("INSERT INTO notifications (message) VALUES ('old')")
    commands = documented()
    shell(commands["pg_dump"])
    shell(commands["pg_restore"])
    shell(commands["psql"])
    with sql.connect(empty_database_url) as restored:
        row = restored.execute(
            "INSERT INTO notifications (message) VALUES ('new') RETURNING id"
        ).fetchone()
    assert row and row[0] > 1_000_000
