"""The embedded server: started when needed, shared, and whole again after any kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

import sql
from mangahub.env import Env, SettingError
from sql import embedded
from sql.embedded import binaries, owner, processes
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow  # each test starts programs

ENV = Env({})


def start(home: Path, env: Env = ENV) -> str:
    """Without fsync, as the tests' own server; that the default has it is a test of its own."""
    return embedded.ensure_running(home, env, durable=False)


def execute(url: str, query: str) -> list[Any]:
    with sql.connect(url) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def pid_of(home: Path) -> int:
    pid = embedded.pid(home)
    assert pid is not None
    return pid


# --- what it is --------------------------------------------------------------------------------


def test_it_is_made_and_started_when_first_needed(home: Path) -> None:
    url = sql.database_url(Env({"MANGAHUB_DATA": str(home)}))
    settings = dict(
        execute(url, "SELECT name, setting FROM pg_settings WHERE context <> 'internal'")
    )
    assert settings["listen_addresses"] == ""
    assert settings["fsync"] == "on"
    assert settings["max_connections"] == "100"
    assert settings["TimeZone"] == "UTC"
    (row,) = execute(
        url,
        "SELECT current_user, rolsuper, pg_encoding_to_char(encoding),"
        " datdba::regrole::text, current_setting('data_checksums')"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = 'mangahub'",
    )
    assert row == ("mangahub", False, "UTF8", "mangahub", "on")
    assert "0001_remember_adoption" in sql.migrate(url)


def test_database_url_wins_and_nothing_is_made(home: Path) -> None:
    url = "postgresql://u@127.0.0.1/db"
    found = sql.database_url(Env({"DATABASE_URL": url, "MANGAHUB_DATA": str(home)}))
    assert (found, os.listdir(home)) == (url, [])


def test_a_running_server_is_found_without_starting_a_process(
    home: Path, mocker: MockerFixture
) -> None:
    url = start(home)
    popen = mocker.spy(subprocess, "Popen")
    assert start(home) == url
    popen.assert_not_called()


def test_importing_the_package_does_not_import_the_servers_machinery() -> None:
    code = "import sys, sql; print([m for m in sys.modules if m.startswith('sql.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "sql.connection" in done.stdout
    for module in ("embedded", "cluster", "binaries", "owner", "processes"):
        assert f"sql.{module}" not in done.stdout


def test_everything_belongs_to_an_unprivileged_user_and_is_closed_to_others(home: Path) -> None:
    start(home)
    place = embedded.places(home)
    for path in (place.home, place.cluster, place.sockets):
        found = path.stat()
        assert found.st_mode & 0o077 == 0
        assert found.st_uid != 0
    uid = os.stat(f"/proc/{pid_of(home)}").st_uid
    assert uid == place.home.stat().st_uid


# --- shared and detached -----------------------------------------------------------------------


def test_six_programs_at_once_start_one_server(home: Path, start_program: Any) -> None:
    running = [start_program("sql", "url") for _ in range(6)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert {stdout.strip() for stdout, _ in outputs} == {embedded.places(home).url()}
    # One postmaster; all others that work there are its children.
    pids = processes.server_processes(embedded.places(home).cluster)
    assert [pid for pid in pids if _parent(pid) not in pids] == [pid_of(home)]


def _parent(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text.rpartition(")")[2].split()[1])


def test_it_holds_neither_pipes_nor_terminal_nor_session_of_its_starter(
    home: Path, run_program: Any
) -> None:
    # communicate() returns only if no other process holds the pipes.
    assert run_program("sql", "start").code == 0
    pid = pid_of(home)
    assert os.getsid(pid) != os.getsid(0)
    targets = {os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)}
    assert targets == {"/dev/null", str(embedded.places(home).log)}


def test_it_outlives_the_program_that_started_it(home: Path, start_program: Any) -> None:
    code = "import sys; from sql.__main__ import main; main(['start']); print('up', flush=True); "
    process = subprocess.Popen(
        [sys.executable, "-c", code + "sys.stdin.read()"],
        cwd=ROOT,
        env={**os.environ, "MANGAHUB_DATA": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        while "up" not in process.stdout.readline():
            pass
        os.killpg(process.pid, signal.SIGKILL)
    pid = pid_of(home)
    start(home)
    assert pid_of(home) == pid


# --- killed ------------------------------------------------------------------------------------


def test_a_start_that_is_killed_in_the_middle_leaves_nothing_half_made(
    home: Path, start_program: Any
) -> None:
    place = embedded.places(home)
    process = start_program("sql", "start")
    wait_until(lambda: list(place.home.glob(".data-*/global")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    assert not place.cluster.exists()
    url = start(home)
    assert execute(url, "SELECT 1") == [(1,)]
    assert not list(place.home.glob(".data-*"))


@pytest.mark.parametrize("victims", ["postmaster", "all", "backends"])
def test_rows_survive_a_kill_of(home: Path, victims: str) -> None:
    url = start(home)
    execute(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    with closing(sql.connect(url)) as busy:
        # A backend in the middle of something, and one that holds a transaction open.
        busy.execute("BEGIN")
        busy.execute("DELETE FROM kept")
        postmaster = pid_of(home)
        pids = processes.server_processes(embedded.places(home).cluster)
        doomed = {
            "postmaster": [postmaster],
            "all": pids,
            "backends": [pid for pid in pids if pid != postmaster],
        }[victims]
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert start(home) == url
        assert execute(url, "SELECT count(*) FROM kept") == [(1000,)]


def test_a_pid_file_that_names_another_process_is_no_running_server(home: Path) -> None:
    url = start(home)
    place = embedded.places(home)
    user = owner.choose(place.home)
    lines = (place.cluster / "postmaster.pid").read_text().splitlines()
    for pid in processes.server_processes(place.cluster):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes.server_processes(place.cluster))
    # Of the same user, so that PostgreSQL itself would believe it.
    arguments = {**user.process_arguments(), "cwd": place.cluster}
    with subprocess.Popen(["/bin/sleep", "60"], **arguments) as bystander:
        try:
            lines[0] = str(bystander.pid)
            (place.cluster / "postmaster.pid").write_text("\n".join(lines) + "\n")
            assert embedded.pid(home) is None
            assert start(home) == url
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_a_database_that_is_missing_is_made_again(home: Path) -> None:
    start(home)
    admin = embedded.places(home).url("postgres", "postgres")
    execute(admin, "DROP DATABASE mangahub WITH (FORCE)")
    assert execute(start(home), "SELECT current_database()") == [("mangahub",)]


def test_a_server_that_lost_its_socket_is_replaced(home: Path) -> None:
    url = start(home)
    shutil.rmtree(embedded.places(home).sockets)
    assert start(home) == url
    assert execute(url, "SELECT 1") == [(1,)]


# --- places ------------------------------------------------------------------------------------


@pytest.fixture
def long_home(home: Path) -> Iterator[Path]:
    folder = home / ("long" * 25)
    folder.mkdir()
    yield folder
    embedded.stop(folder)
    shutil.rmtree(embedded.places(folder).sockets, ignore_errors=True)


def test_a_long_path_gets_a_short_socket_directory_of_its_own(long_home: Path) -> None:
    url = start(long_home)
    sockets = embedded.places(long_home).sockets
    assert execute(url, "SELECT 1") == [(1,)]
    assert len(str(sockets)) < 60
    assert sockets.stat().st_mode & 0o777 == 0o700


def test_a_socket_directory_of_another_user_is_refused(long_home: Path) -> None:
    sockets = embedded.places(long_home).sockets
    sockets.symlink_to("/tmp")
    try:
        with pytest.raises(sql.EmbeddedUnavailable, match=f"{sockets} was made by another"):
            start(long_home)
    finally:
        sockets.unlink()


@pytest.mark.parametrize("name", ["it's $HOME and ünïcode%20", 'com,ma and "quotes"'])
def test_any_path_will_do(home: Path, name: str) -> None:
    if not owner.choose(home).can_run(binaries.find(ENV, None).folder / "postgres"):
        pytest.skip("the programs would have to be copied there")
    folder = home / name
    try:
        assert execute(start(folder), "SELECT 1") == [(1,)]
    finally:
        embedded.stop(folder)
        if "/tmp/" in str(embedded.places(folder).sockets):
            shutil.rmtree(embedded.places(folder).sockets)


def test_a_directory_may_be_moved(home: Path) -> None:
    execute(start(home / "old"), "CREATE TABLE moved ()")
    embedded.stop(home / "old")
    (home / "old").rename(home / "new")
    try:
        assert execute(start(home / "new"), "SELECT FROM moved") == []
    finally:
        embedded.stop(home / "new")


# --- programs of PostgreSQL --------------------------------------------------------------------


def other_version() -> Path:
    """A directory with programs of another version than the preferred one."""
    best = binaries.find(ENV, None)
    for found in binaries._candidates(ENV):
        if found.major != best.major:
            return found.folder
    pytest.skip("only one version of PostgreSQL is installed")


def test_the_version_of_an_existing_directory_decides(home: Path) -> None:
    older = Env({"MANGAHUB_PG_BIN": str(other_version())})
    (before,) = execute(start(home, older), "SHOW server_version")
    embedded.stop(home)
    (after,) = execute(start(home), "SHOW server_version")
    assert before == after


def test_a_version_that_is_not_installed_is_named(home: Path) -> None:
    start(home)
    embedded.stop(home)
    (embedded.places(home).cluster / "PG_VERSION").write_text("11\n")
    with pytest.raises(sql.EmbeddedUnavailable, match=r"made by PostgreSQL 11, .*DATABASE_URL"):
        start(home)


def test_without_any_programs_the_cure_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_WHEEL", "no_such_package")
    monkeypatch.setattr(binaries, "_SYSTEM", home / "nothing")
    cure = r"pip install '\.\[local\]'` in the checkout, or set DATABASE_URL"
    with pytest.raises(sql.EmbeddedUnavailable, match=cure):
        start(home)


def test_a_wrong_program_directory_is_a_setting_error(home: Path) -> None:
    with pytest.raises(SettingError, match="MANGAHUB_PG_BIN='/nonexistent'"):
        start(home, Env({"MANGAHUB_PG_BIN": "/nonexistent"}))


def test_a_damaged_data_directory_ends_with_the_servers_own_words(home: Path) -> None:
    start(home)
    embedded.stop(home)
    (embedded.places(home).cluster / "global" / "pg_control").unlink()
    with pytest.raises(sql.EmbeddedUnavailable, match=r"ended at once: .*server\.log"):
        start(home)


# --- the command -------------------------------------------------------------------------------


def test_the_command_starts_reports_and_stops(home: Path, run_program: Any) -> None:
    assert run_program("sql", "status").code == 3
    assert run_program("sql", "stop").stdout == "not running\n"
    started = run_program("sql", "start")
    assert (started.code, started.stdout.strip()) == (0, embedded.places(home).url())
    status = run_program("sql", "status")
    assert (status.code, status.stdout) == (
        0,
        f"running, process {pid_of(home)}: {started.stdout}",
    )
    assert run_program("sql", "stop").stdout == "stopped\n"
    assert embedded.pid(home) is None


@pytest.mark.parametrize("command", ["", "start", "stop", "status", "url"])
def test_every_command_has_help(run_program: Any, command: str) -> None:
    done = run_program("sql", *command.split(), "--help")
    assert done.code == 0
    assert done.stdout.startswith("usage: python -m sql")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_a_signal_stops_the_server_with_its_sessions(
    home: Path, start_program: Any, number: signal.Signals
) -> None:
    process = start_program("sql", "start", "--foreground")
    wait_until(lambda: embedded.is_ready(embedded.places(home)))
    with closing(sql.connect(embedded.places(home).url())) as session:
        pid = pid_of(home)
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
        assert not processes.is_alive(pid)
        with pytest.raises(sql.DatabaseDown), sql.translated():
            session.execute("SELECT 1")


def test_in_the_foreground_the_end_of_the_server_is_an_error(
    home: Path, start_program: Any
) -> None:
    process = start_program("sql", "start", "--foreground")
    wait_until(lambda: embedded.is_ready(embedded.places(home)))
    os.kill(pid_of(home), signal.SIGQUIT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ended by itself" in stderr


def test_a_bad_setting_is_exit_code_2_with_one_line(run_program: Any) -> None:
    done = run_program("sql", "start", env={"MANGAHUB_DATA": "relative"})
    assert done.code == 2
    assert done.stderr == (
        "sql: MANGAHUB_DATA='relative' is not allowed: it must be an absolute path\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives the files to another user")
def test_a_strict_umask_of_root_leaves_the_place_usable(home: Path) -> None:
    data = home / "new" / "place"
    before = os.umask(0o077)
    try:
        embedded.ensure_running(data, Env({}), durable=False)
    finally:
        os.umask(before)
    try:
        assert [place.stat().st_mode & 0o777 for place in (data.parent, data)] == [0o755, 0o755]
    finally:
        embedded.stop(data)
