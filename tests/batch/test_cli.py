"""The command line: usage, configuration, exit codes, and one clear line for each mistake."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sql
from batch.errors import Banned, BatchError, LockHeld, SourceDown, Stopped, exit_code
from mangahub.env import SettingError
from sql import DatabaseDown, SchemaOutdated

COMMANDS = [
    "initial-sync",
    "new-manga-poll",
    "chapter-feed",
    "chapter-check",
    "metadata-refresh",
    "fetch-wanted",
    "relay",
    "status",
    "migrate",
    "doctor",
]
Run = Callable[..., Any]
NOWHERE = {"MANGADEX_API_URL": "http://127.0.0.1:9", "UDP_SERVER_URL": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingError("A", "b", "c"), 2),
        (LockHeld(""), 75),
        (SourceDown(""), 75),
        (Banned(""), 75),
        (DatabaseDown(""), 75),
        (Stopped(15), 143),
        (Stopped(2), 130),
        (SchemaOutdated(""), 1),
        (BatchError(""), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_way_to_end_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(run_batch: Run, command: str) -> None:
    done = run_batch(command, "--help")
    assert done.code == 0
    assert "--json" in done.stdout


def test_help_names_every_command(run_batch: Run) -> None:
    done = run_batch("--help")
    assert done.code == 0
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["dance"], "dance"),
        (
            ["initial-sync", "--count", "-1"],
            "'-1' is not allowed: it must be a whole number from 1",
        ),
        (["initial-sync", "--count", "0"], "'0' is not allowed"),
        (["initial-sync", "--count", "10001"], "to 10,000 (use --all for more)"),
        (["initial-sync", "--count", "many"], "'many' is not allowed"),
        (["initial-sync", "--count", "1e3"], "'1e3' is not allowed"),
        (["initial-sync", "--count", "5", "--all"], "not allowed with argument"),
        (["chapter-check", "--limit", "0"], "'0' is not allowed"),
        (["status", "--count", "5"], "unrecognized arguments"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_bad_usage_is_one_line_and_exits_with_2(
    run_batch: Run, arguments: list[str], said: str
) -> None:
    done = run_batch(*arguments)
    assert done.code == 2
    assert said in done.stderr.splitlines()[-1]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MANGA_SYNC_WORKERS", "abc", "a whole number from 1 to 64"),
        ("MANGA_SYNC_WORKERS", "0", "a whole number from 1 to 64"),
        ("MANGA_SYNC_WORKERS", "1000", "a whole number from 1 to 64"),
        ("MANGA_SYNC_RATE_PER_SECOND", "-5", "a number from 0.01 to 1000"),
        ("MANGA_SYNC_INITIAL", "maybe", "true or false"),
        ("MANGA_SYNC_INITIAL_ORDER", "fame", "one of followedCount"),
        ("MANGA_SYNC_LANGUAGES", "en,,fr", "language codes"),
        ("MANGA_SYNC_LANGUAGES", "english", "language codes"),
        ("MANGA_SYNC_CONTENT_RATINGS", "safe,spicy", "out of safe, suggestive"),
        ("MANGA_SYNC_BLOCKED_GROUPS", "somebody", "UUIDs"),
        ("MANGADEX_API_URL", "api.mangadex.org", "an http:// or https:// address"),
        ("UDP_SERVER_URL", "http://:70000", "an http:// or https:// address"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG"),
        ("MANGAHUB_DATA", "relative/path", "an absolute path"),
        ("DATABASE_URL", "mysql://localhost/x", "DATABASE_URL"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it_its_value_and_what_is_allowed(
    run_batch: Run, name: str, value: str, allowed: str
) -> None:
    done = run_batch("status", "--json", env={name: value})
    assert done.code == 2
    (line,) = done.stderr.splitlines()
    assert name in line
    assert value in line
    assert allowed in line
    assert done.json["exit_code"] == 2


@pytest.mark.parametrize("command", COMMANDS[:5])
def test_the_json_of_a_run_that_never_began_has_all_its_keys(run_batch: Run, command: str) -> None:
    done = run_batch(command, "--json", env={"LOG_LEVEL": "LOUD"})
    promised = "sync_type status requests manga_seen manga_new manga_updated chapters_new events"
    assert {*promised.split(), "failed", "seconds"} <= done.json.keys()
    assert (done.json["sync_type"], done.json["status"]) == (command.replace("-", "_"), "error")


def test_a_relay_that_is_stopped_says_so_and_what_is_owed(
    start_program: Callable[..., Any], database_url: str
) -> None:
    with sql.connect(database_url) as connection, socket.create_server(("127.0.0.1", 0)) as silent:
        connection.execute(
            "INSERT INTO notification_events (dedup_key, type, payload)"
            " VALUES ('a', 'new-manga', '{}')"
        )
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = {"DATABASE_URL": database_url, "UDP_SERVER_URL": url}
        process = start_program("batch", "relay", "--json", env=env)
        silent.settimeout(10)
        with silent.accept()[0]:
            process.terminate()
            stdout, _ = process.communicate(timeout=10)
    said = json.loads(stdout.splitlines()[-1])
    assert (said["sync_type"], said["status"], said["owed"]) == ("relay", "stopped", 1)
    assert (process.returncode, said["exit_code"]) == (143, 143)


def test_a_secret_never_stands_in_the_line_about_it(run_batch: Run) -> None:
    done = run_batch("status", env={"MANGADEX_API_KEY": "sécret"})
    assert done.code == 2
    assert "cret" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_no_database_is_75_and_one_line(run_batch: Run, command: str) -> None:
    url = "postgresql://reader:hidden@127.0.0.1:9/mangahub"
    done = run_batch(command, "--json", env={"DATABASE_URL": url} | NOWHERE)
    assert done.code == (1 if command == "doctor" else 75)
    assert "hidden" not in done.stdout + done.stderr
    if command != "doctor":
        (line,) = done.stderr.splitlines()
        assert "nothing listens there" in line
        assert json.loads(done.stdout)["exit_code"] == 75


@pytest.mark.parametrize("command", COMMANDS[:7])
def test_an_empty_database_is_1_and_names_the_command_that_helps(
    run_batch: Run, empty_database_url: str, command: str
) -> None:
    done = run_batch(command, env={"DATABASE_URL": empty_database_url} | NOWHERE)
    assert done.code == 1
    assert "mangahub-batch migrate" in done.stderr


def test_migrate_can_be_run_again(run_batch: Run, empty_database_url: str) -> None:
    first = run_batch("migrate", "--json", env={"DATABASE_URL": empty_database_url})
    again = run_batch("migrate", "--json", env={"DATABASE_URL": empty_database_url})
    assert (first.code, again.code) == (0, 0)
    assert first.json["applied"]
    assert again.json["applied"] == []


def test_the_last_line_of_stdout_is_all_that_json_prints(run_batch: Run, database_url: str) -> None:
    done = run_batch("status", "--json", env={"DATABASE_URL": database_url})
    assert done.code == 0
    assert len(done.stdout.splitlines()) == 1
    assert set(done.json["workflows"]) == {
        "initial_sync",
        "new_manga_poll",
        "chapter_feed",
        "chapter_check",
        "metadata_refresh",
        "fetch_wanted",
    }


def test_the_embedded_database_is_used_where_no_other_is_named(run_batch: Run, home: Path) -> None:
    assert run_batch("migrate").code == 0
    done = run_batch("doctor", "--json", env=NOWHERE)
    assert str(home) in done.json["database_url"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_data_directory_is_one_clear_line(run_batch: Run, home: Path) -> None:
    home.chmod(0o555)
    done = run_batch("status")
    home.chmod(0o755)
    assert done.code == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(home) in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(
    start_program: Callable[..., Any], database_url: str
) -> None:
    process = start_program("batch", "status", env={"DATABASE_URL": database_url})
    process.stdout.close()  # before anything is written
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert stderr == ""
