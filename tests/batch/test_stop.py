"""Being stopped: what hangs is left in time, whatever it is, and what has to be done is done."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from uuid import uuid4

import pytest

import sql
from batch import stop as stop_module
from batch.errors import Stopped
from batch.stop import SignalStop, listening
from tests.support.raw_server import Handler, RawServer
from tests.support.waiting import wait_until

Start = Callable[..., subprocess.Popen[str]]
PROMISED_S = 10
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[SignalStop]:
    monkeypatch.setattr(stop_module, "GRACE_S", 0.1)
    monkeypatch.setattr(stop_module, "LAST_S", 0.1)
    with listening() as stop:
        yield stop


def hang() -> None:
    Event().wait(10)


def test_what_does_not_end_is_left_when_its_grace_is_over_and_so_is_what_follows(
    hasty: SignalStop,
) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(3):
        with pytest.raises(Stopped):
            hang()


def test_nothing_is_torn_out_of_what_has_to_be_done_and_what_follows_has_its_time(
    hasty: SignalStop,
) -> None:
    with hasty.uninterrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        assert not Event().wait(0.3)
    began = monotonic()
    with pytest.raises(Stopped):
        hang()
    assert monotonic() - began > 0.05


def test_the_grace_is_whole_before_a_signal_and_over_some_time_after_it(hasty: SignalStop) -> None:
    assert hasty.grace_left == 0.1
    with hasty.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        assert hasty.grace_left < 0.1
        assert not Event().wait(0.11)
        assert hasty.grace_left == 0


@contextmanager
def locked(database_url: str, table: str) -> Iterator[Callable[[], bool]]:
    """Keep a table locked; yield whether a session waits for it."""
    with sql.connect(database_url, "keeper") as keeper, keeper.transaction():
        keeper.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())

        def has_waiters() -> bool:
            row = keeper.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchone()
            return row is not None and row[0] > 0

        yield has_waiters


def end(process: subprocess.Popen[str]) -> str:
    """Send TERM and check that it is obeyed in time; return what was written to stderr."""
    began = monotonic()
    process.terminate()
    _, stderr = process.communicate(timeout=30)
    assert monotonic() - began < PROMISED_S, stderr
    assert process.returncode == 128 + signal.SIGTERM, stderr
    assert "Traceback" not in stderr
    return stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["chapter-check", "status"])
def test_a_program_that_waits_for_a_table_is_stopped_in_time_and_the_server_waits_no_longer(
    database_url: str, start_program: Start, command: str
) -> None:
    env = {"DATABASE_URL": database_url, "MANGADEX_API_URL": NOBODY}
    with locked(database_url, "sync_state") as has_waiters:
        process = start_program("batch", command, env=env)
        wait_until(has_waiters)
        end(process)
        wait_until(lambda: not has_waiters())


def silent(server: RawServer, connection: socket.socket) -> None:
    """Take a request and never answer."""
    server.read(connection)
    server.stopped.wait(60)


@pytest.fixture
def silent_source(serve: Callable[[Handler], RawServer]) -> RawServer:
    return serve(silent)


@pytest.fixture
def owing(connection: sql.Connection) -> sql.Connection:
    """One title that is due for everything, and an event that is owed."""
    connection.execute(
        "INSERT INTO manga (id, slug, title, mangadex_id, first_synced_at)"
        " VALUES (1, 'a', 'A', %s, now() - interval '1 day')",
        [uuid4()],
    )
    connection.execute(
        "INSERT INTO notification_events (type, manga_id, dedup_key, payload)"
        " VALUES ('new-manga', 1, 'k', '{\"manga_id\": 1, \"title\": \"A\"}'),"
        " ('new-manga', 1, 'l', '{\"manga_id\": 1, \"title\": \"A\"}')"
    )
    return connection


@pytest.mark.slow
def test_a_state_that_cannot_be_recorded_after_workers_were_killed_holds_up_nothing(
    database_url: str, owing: sql.Connection, silent_source: RawServer, start_program: Start
) -> None:
    env = {
        "DATABASE_URL": database_url,
        "MANGADEX_API_URL": silent_source.url,
        "UDP_SERVER_URL": NOBODY,
    }
    process = start_program("batch", "chapter-check", env=env)
    wait_until(lambda: silent_source.requests)
    with locked(database_url, "sync_state"):
        end(process)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["chapter-check", "chapter-feed"])
def test_a_notification_server_that_hangs_too_takes_no_time_of_its_own_and_the_end_is_recorded(
    serve: Callable[[Handler], RawServer],
    database_url: str,
    owing: sql.Connection,
    silent_source: RawServer,
    start_program: Start,
    command: str,
) -> None:
    notify = serve(silent)
    env = {
        "DATABASE_URL": database_url,
        "MANGADEX_API_URL": silent_source.url,
        "UDP_SERVER_URL": notify.url,
    }
    process = start_program("batch", command, env=env)
    wait_until(lambda: silent_source.requests and notify.requests)
    end(process)
    left = "SELECT count(*) FROM notification_events WHERE accepted_at IS NULL"
    assert owing.execute(left).fetchone() == (2,)
    ended = "SELECT status FROM sync_state WHERE sync_type = %s"
    assert owing.execute(ended, [command.replace("-", "_")]).fetchone() == ("idle",)
