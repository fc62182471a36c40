"""`import-account`: a MangaDex account's library, and each way in which a login fails."""

from __future__ import annotations

import json
import logging
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batch.cli import main
from batch.mangadex import client
from mangadex_sim import Simulator
from readers.users import User, add_user
from tests.support.programs import Programs

Connection = psycopg.Connection[tuple[Any, ...]]
Run = Callable[..., tuple[int, dict[str, Any], str]]

LOGIN = {
    "username": "mika@example.org",
    "password": "correct-horse",
    "client_id": "personal-client-1",
    "client_secret": "battery-staple",
}


@pytest.fixture
def sim(simulator: Callable[..., Simulator]) -> Simulator:
    return simulator(titles=3, rate=0)


@pytest.fixture
def mika(connection: Connection) -> User:
    return add_user(connection, "mika", None, None)


@pytest.fixture
def env(sim: Simulator, database_url: str, home: Path) -> dict[str, str]:
    named = {f"MANGADEX_{name.upper()}": value for name, value in LOGIN.items()}
    return named | {
        "MANGADEX_API_URL": sim.url,
        "MANGADEX_AUTH_URL": sim.url,
        "DATABASE_URL": database_url,
        "MANGAHUB_DATA": str(home),
        "MANGA_SYNC_RATE_PER_SECOND": "500",
    }


@pytest.fixture
def run(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """`run("mika", MANGADEX_PASSWORD="wrong")` → exit code, JSON, stderr; in this process."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.001)

    def run(user: str, **changes: str) -> tuple[int, dict[str, Any], str]:
        for name, value in (env | changes).items():
            monkeypatch.setenv(name, value)
        code = main(["import-account", user, "--json"])
        output = capsys.readouterr()
        return code, json.loads(output.out.splitlines()[-1]), output.err

    yield run
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def add_account(sim: Simulator, **more: Any) -> None:
    sim.add_account(**LOGIN, **more)


def test_an_accounts_library_is_imported_in_one_request_and_its_login_forgotten(
    run: Run, sim: Simulator, connection: Connection, mika: User
) -> None:
    first, second = sim.title_ids(0, 2)
    connection.execute(
        "INSERT INTO manga (title, slug, mangadex_id) VALUES ('One', 'one', %s)", [first]
    )
    add_account(sim, statuses={first: "re_reading", second: "plan_to_read"})
    code, data, err = run("mika")
    assert code == 0, err
    assert (data["format"], data["matched"], data["added"], data["wanted"]) == ("mdlist", 1, 1, 1)
    asked = sim.stats()["by_path"]
    assert asked["/manga/status"] == 1 and sum(asked.values()) == 2
    for secret in LOGIN.values():
        assert secret not in err
        for table in ("import_entries", "sync_state", "mangahub_meta", "api_budget"):
            query = f"SELECT count(*) FROM {table} AS t WHERE position(%s IN t::text) > 0"
            assert connection.execute(query.encode(), [secret]).fetchone() == (0,)
    assert run("mika")[1]["already_there"] == 1


@pytest.mark.parametrize(
    ("account", "changes", "said"),
    [
        ({}, {"MANGADEX_PASSWORD": "wrong"}, "does not accept this name and password"),
        ({}, {"MANGADEX_CLIENT_SECRET": "wrong"}, "its id or secret is wrong"),
        ({"approved": False}, {}, "not approved yet"),
        ({"token_s": 0}, {}, "the login ended before the library was read"),
    ],
    ids=["wrong password", "wrong secret", "not approved", "token that ends half-way"],
)
def test_a_login_that_fails_is_one_clear_line_and_changes_nothing(
    run: Run,
    sim: Simulator,
    connection: Connection,
    mika: User,
    account: dict[str, Any],
    changes: dict[str, str],
    said: str,
) -> None:
    add_account(sim, statuses={sim.title_ids(0, 1)[0]: "reading"}, **account)
    code, data, err = run("mika", **changes)
    assert code == 1
    assert said in data["error"]
    assert len(err.splitlines()) == 1 and said in err
    assert "wrong" not in {*err.split(), *data["error"].split()} - {"wrong,"}
    assert connection.execute("SELECT count(*) FROM import_entries").fetchone() == (0,)


def test_an_empty_library_imports_nothing(run: Run, sim: Simulator, mika: User) -> None:
    add_account(sim)
    code, data, _ = run("mika")
    assert (code, data["matched"], data["entries"]) == (0, 0, [])


def test_a_user_that_does_not_exist_is_named_before_anything_is_asked(
    run: Run, sim: Simulator, mika: User
) -> None:
    code, data, _ = run("nobody")
    assert code == 1 and "nobody" in data["error"]
    assert sim.stats()["total"] == 0


@pytest.mark.parametrize("user", ["", " ", "\udcff"])
def test_a_name_that_can_be_no_users_is_bad_usage(
    capsys: pytest.CaptureFixture[str], user: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["import-account", user])
    assert "USER: must be UTF-8 and not empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["USERNAME", "PASSWORD", "CLIENT_ID", "CLIENT_SECRET"])
def test_without_a_terminal_what_is_missing_is_named(run: Run, mika: User, name: str) -> None:
    code, data, _ = run("mika", **{f"MANGADEX_{name}": ""})
    assert code == 2 and f"MANGADEX_{name}" in data["error"]


@pytest.mark.parametrize("mode", ["503", "html_200"])
def test_a_source_that_fails_once_is_asked_again(
    run: Run, sim: Simulator, mika: User, mode: str
) -> None:
    add_account(sim)
    sim.fail(mode, paths=["/manga/status"])
    assert run("mika")[0] == 0


def test_an_auth_host_that_is_down_is_75_and_says_nothing_of_the_source(
    run: Run, connection: Connection, mika: User
) -> None:
    code, data, _ = run("mika", MANGADEX_AUTH_URL="http://127.0.0.1:9")
    assert code == 75 and "openid-connect/token failed" in data["error"]
    assert connection.execute("SELECT FROM mangahub_meta WHERE key = 'source'").fetchone() is None


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: the end of a person, and the end of a program."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def ask(
    programs: Programs, env: dict[str, str], terminal: tuple[int, int], mika: User
) -> subprocess.Popen[str]:
    """A run that has asked for the name."""
    missing = {"MANGADEX_USERNAME": "", "MANGADEX_PASSWORD": ""}
    process = programs.start(
        "batch", "import-account", "mika", env=env | missing, stdin=terminal[1]
    )
    assert process.stderr is not None
    assert process.stderr.read(len("MangaDex name: ")) == "MangaDex name: "
    return process


def test_what_is_missing_is_asked_for_on_a_terminal(
    sim: Simulator, ask: subprocess.Popen[str], terminal: tuple[int, int]
) -> None:
    add_account(sim, statuses={sim.title_ids(0, 1)[0]: "reading"})
    os.write(terminal[0], f"{LOGIN['username']}\n".encode())
    assert ask.stderr is not None
    assert ask.stderr.read(len("Password: ")) == "Password: "
    os.write(terminal[0], f"{LOGIN['password']}\n".encode())
    stdout, _ = ask.communicate(timeout=20)
    assert ask.returncode == 0
    assert "wanted\t1" in stdout and "fetch-wanted" in stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_question(ask: subprocess.Popen[str], number: signal.Signals) -> None:
    ask.send_signal(number)
    assert ask.wait(10) == 128 + number
