"""The program: starting, refusing to start, stopping."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
import requests


def stop(server: Any, number: int = signal.SIGTERM) -> tuple[int, str]:
    """Send the signal; return exit code and stderr."""
    server.process.send_signal(number)
    stderr = server.process.communicate(timeout=12)[1]
    return server.process.returncode, stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_leaves_at_once(start_program_server: Any, number: int) -> None:
    server = start_program_server()
    started = monotonic()
    code, stderr = stop(server, number)
    assert code == 0
    assert monotonic() - started < 8
    assert "Traceback" not in stderr


def test_what_is_in_flight_at_the_end_can_still_be_acknowledged(
    start_program_server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    server = start_program_server()
    client = make_client(server, make_user())
    client.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    id = client.receive_type("NEW_MANGA")["id"]
    server.process.terminate()
    client.ack(id)
    assert server.process.wait(10) == 0
    row = connection.execute("SELECT read, delivered_at IS NOT NULL FROM notifications").fetchone()
    assert row == (True, True)


def test_what_is_not_acknowledged_at_the_end_stays_unread(
    start_program_server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    server = start_program_server()
    client = make_client(server, make_user())
    client.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    client.receive_type("NEW_MANGA")
    started = monotonic()
    assert stop(server)[0] == 0
    assert monotonic() - started < 10
    assert connection.execute("SELECT read IS TRUE FROM notifications").fetchone() == (False,)


def test_a_busy_server_stops_within_10_seconds_and_keeps_every_event_it_accepted(
    start_program_server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    server = start_program_server()
    for _ in range(20):
        make_client(server, make_user()).subscribe()  # none of them acknowledges
    manga = make_manga()
    accepted: list[str] = []

    def post() -> None:
        for n in range(10_000):
            try:
                answer = server.post(
                    "new-manga", {"manga_id": manga, "title": "T", "event_id": str(n)}
                )
            except requests.RequestException:
                return
            if answer.status_code == 202:
                accepted.append(str(n))

    poster = threading.Thread(target=post)
    poster.start()
    while len(accepted) < 50:
        assert poster.is_alive()
    started = monotonic()
    code, stderr = stop(server)
    poster.join(10)
    assert code == 0
    assert monotonic() - started < 10
    assert "Traceback" not in stderr
    stored = connection.execute("SELECT event_id FROM notification_receipts").fetchall()
    assert set(accepted) <= {event_id for (event_id,) in stored}


def test_a_second_signal_leaves_at_once(
    start_program_server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    server = start_program_server()
    client = make_client(server, make_user())
    client.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    client.receive_type("NEW_MANGA")
    server.process.terminate()
    while "Stopping" not in server.process.stderr.readline():
        pass
    server.process.terminate()
    assert server.process.wait(2) == 128 + signal.SIGTERM


def test_ports_are_printed_as_json_too(start_program: Any, settings: dict[str, str]) -> None:
    process = start_program("notify_server", "--json", env=settings)
    addresses = json.loads(process.stdout.readline())
    assert set(addresses) == {"http", "udp"}
    assert requests.get(f"http://{addresses['http']}/healthz", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("kind", "variable"), [(socket.SOCK_DGRAM, "UDP_PORT"), (socket.SOCK_STREAM, "UDP_HTTP_PORT")]
)
def test_a_port_in_use_is_said_in_one_line(
    run_program: Any, settings: dict[str, str], kind: socket.SocketKind, variable: str
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        finished = run_program("notify_server", env={**settings, variable: str(port)})
    assert finished.code == 1
    assert len(finished.stderr.splitlines()) == 1
    assert str(port) in finished.stderr and variable in finished.stderr


def test_an_address_of_another_host_is_said_in_one_line(
    run_program: Any, settings: dict[str, str]
) -> None:
    env = {**settings, "NOTIFY_BIND": "192.0.2.1", "NOTIFY_API_KEY": "k"}
    finished = run_program("notify_server", env=env)
    assert finished.code == 1  # not 2: the address may come, and systemd tries again
    assert len(finished.stderr.splitlines()) == 1
    assert "192.0.2.1" in finished.stderr and "NOTIFY_BIND" in finished.stderr
    assert "_PORT" not in finished.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UDP_PORT", "x"),
        ("UDP_PORT", "65536"),
        ("UDP_HTTP_PORT", "-1"),
        ("NOTIFY_BIND", "not an address"),
        ("NOTIFY_BIND", "0.0.0.0"),
        ("NOTIFY_BIND", "::"),
        ("NOTIFY_BIND", "192.0.2.1"),
        ("NOTIFY_BIND", "[127.0.0.1"),
        ("NOTIFY_BIND", "224.0.0.1"),
        ("NOTIFY_BIND", "ff02::1%lo"),
        ("NOTIFY_BIND", "255.255.255.255"),
        ("NOTIFY_BIND", "fe80::1"),
        ("NOTIFY_BIND", "fe80::1%nosuch"),
        ("NOTIFY_LEGACY_CLIENTS", "some"),
        ("NOTIFY_API_KEY", "schlüssel"),
        ("NOTIFY_SECRET", "gehëim"),
        ("NOTIFY_SECRET", "  "),
        ("DATABASE_URL", "mysql://x"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("MANGAHUB_DATA", "relative"),
    ],
)
def test_a_bad_setting_ends_it_with_2_and_one_line(
    run_program: Any, settings: dict[str, str], variable: str, value: str
) -> None:
    finished = run_program("notify_server", "serve", env={**settings, variable: value})
    assert finished.code == 2
    assert len(finished.stderr.splitlines()) == 1
    assert variable in finished.stderr
    assert finished.stdout == ""


def test_an_old_schema_ends_it_with_1_and_names_the_command(
    run_program: Any, settings: dict[str, str], empty_database_url: str
) -> None:
    for arguments in (["serve"], ["user", "list"]):
        finished = run_program(
            "notify_server", *arguments, env={**settings, "DATABASE_URL": empty_database_url}
        )
        assert finished.code == 1
        assert "mangahub-batch migrate" in finished.stderr.splitlines()[-1]
        assert "listening" not in finished.stdout


# --- the secret ------------------------------------------------------------------------------


def test_a_secret_is_made_once_for_the_owner_only(
    run_program: Any, settings: dict[str, str], home: Path, make_user: Any
) -> None:
    user = make_user()
    env = {k: v for k, v in settings.items() if k != "NOTIFY_SECRET"}
    keys = {run_program("notify_server", "key", user, env=env).stdout for _ in range(2)}
    assert len(keys) == 1
    assert (home / "notify_secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file for another user")
def test_a_secret_that_root_makes_belongs_to_the_owner_of_the_data_directory(
    run_program: Any, settings: dict[str, str], home: Path, make_user: Any
) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    env = {k: v for k, v in settings.items() if k != "NOTIFY_SECRET"}
    made = run_program("notify_server", "key", make_user(), env=env)
    assert made.code == 0, made.stderr
    status = (home / "notify_secret").stat()
    assert (status.st_uid, status.st_gid) == (nobody.pw_uid, nobody.pw_gid)
    assert status.st_mode & 0o777 == 0o600


def test_two_at_once_make_one_secret(tmp_path: Path) -> None:
    from mangahub.secret import load_secret

    for n in range(20):
        folder = tmp_path / str(n) / "deep"
        found: list[str] = []
        barrier = threading.Barrier(4)

        def load(
            folder: Path = folder, found: list[str] = found, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait()
            found.append(load_secret(None, folder))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1 and len(found) == 4
        assert [p.name for p in folder.iterdir()] == ["notify_secret"]


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("x" * 64, 0o644, "chmod 600"),
        ("x" * 64, 0o620, "chmod 600"),
        ("", 0o600, "damaged"),
        ("short", 0o600, "damaged"),
    ],
)
def test_a_secret_that_cannot_be_trusted_is_refused_in_one_line(
    run_program: Any, settings: dict[str, str], home: Path, content: str, mode: int, words: str
) -> None:
    path = home / "notify_secret"
    path.write_text(content)
    path.chmod(mode)
    env = {k: v for k, v in settings.items() if k != "NOTIFY_SECRET"}
    finished = run_program("notify_server", env=env)
    assert finished.code == 2
    assert len(finished.stderr.splitlines()) == 1
    assert words in finished.stderr and str(path) in finished.stderr


# --- systemd ---------------------------------------------------------------------------------


@pytest.fixture
def systemd_socket(home: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(home / "notify"))
        sock.settimeout(10)
        yield sock


def test_systemd_hears_of_readiness_life_and_the_end(
    start_program_server: Any, systemd_socket: socket.socket
) -> None:
    server = start_program_server(
        {"NOTIFY_SOCKET": systemd_socket.getsockname(), "WATCHDOG_USEC": "200000"}
    )
    assert systemd_socket.recv(1000).startswith(b"READY=1")
    assert systemd_socket.recv(1000) == b"WATCHDOG=1"
    assert stop(server)[0] == 0
    while (state := systemd_socket.recv(1000)) == b"WATCHDOG=1":
        pass
    assert state == b"STOPPING=1"


def test_a_watchdog_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from mangahub import systemd

    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert systemd.watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert systemd.watchdog_interval_s() == 0.5


def test_a_server_in_process_can_be_stopped_twice(
    settings: dict[str, str], connection: psycopg.Connection[Any]
) -> None:
    from mangahub.env import Env
    from notify_server import config
    from notify_server.server import NotifyServer

    server = NotifyServer(config.load(Env(settings)), "secret")
    server.start(lambda: settings["DATABASE_URL"])
    server.stop()
    server.stop()
    never_started = NotifyServer(config.load(Env(settings)), "secret")
    never_started.stop()
    never_started.stop()
