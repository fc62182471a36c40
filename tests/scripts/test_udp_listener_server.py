"""The reference client against the real notification server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.support.waiting import wait_until

Database = psycopg.Connection[tuple[Any, ...]]
Listen = Callable[..., Any]


@dataclass
class Server:
    """A running server, its address for clients, and one reader of one title."""

    process: subprocess.Popen[str]
    http: str
    udp: str
    user: str
    manga_id: int

    def announce(self, chapter: int) -> None:
        body = {
            "manga_id": self.manga_id,
            "title": "The Tin Lantern",
            "chapter": chapter,
            "old_chapter": chapter - 1,
            "event_id": f"chapter-{chapter}",
        }
        answer = requests.post(f"{self.http}/notify/new-chapter", json=body, timeout=10)
        assert answer.status_code == 202, answer.text

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)


@pytest.fixture
def reader(connection: Database) -> tuple[str, int]:
    """A user, and the title in his library."""
    user = str(uuid.uuid4())
    statement = "INSERT INTO users (id, username, email) VALUES (%s, 'mina', 'mina@example.org')"
    connection.execute(statement, (user,))
    row = connection.execute(
        "INSERT INTO manga (slug, title) VALUES ('the-tin-lantern', 'The Tin Lantern') RETURNING id"
    ).fetchone()
    assert row is not None
    connection.execute("INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", (user, *row))
    return user, row[0]


@pytest.fixture
def serve(
    start_program: Callable[..., Any], database_url: str, reader: tuple[str, int]
) -> Callable[..., Server]:
    """`serve(port)` → a `Server` on that UDP port, or a free one."""

    def start(port: int = 0) -> Server:
        env = {"DATABASE_URL": database_url, "UDP_PORT": str(port), "UDP_HTTP_PORT": "0"}
        process = start_program("notify_server", "serve", "--json", env=env)
        addresses = json.loads(process.stdout.readline())
        return Server(process, f"http://{addresses['http']}", addresses["udp"], *reader)

    return start


@pytest.fixture
def key_file(run_program: Callable[..., Any], database_url: str, home: Path) -> Callable[[], str]:
    """What a reader does once: `mangahub-notify key mina > key`."""

    def make() -> str:
        printed = run_program("notify_server", "key", "mina", env={"DATABASE_URL": database_url})
        path = home / "key"
        path.touch(0o600)
        path.write_text(printed.stdout)
        return str(path)

    return make


def test_news_arrives_as_it_happens_and_what_was_missed_comes_first(
    listen: Listen, serve: Callable[..., Server], key_file: Callable[[], str], connection: Database
) -> None:
    server = serve()
    server.announce(180)
    options = ("--server", server.udp, "--user", server.user, "--key-file", key_file())
    listener = listen(*options)
    line = listener.lines.line()
    text = r"\d\d:\d\d:\d\d  NEW_CHAPTER   The Tin Lantern — New chapter 180 available .*"
    assert re.fullmatch(text, line), line
    server.announce(181)
    assert "New chapter 181 available (was chapter 180)" in listener.lines.line()
    query = "SELECT count(*) FROM notifications WHERE read AND delivered_at IS NOT NULL"
    wait_until(lambda: connection.execute(query).fetchone() == (2,))
    assert listener.end(signal.SIGTERM)[0] == 0
    server.announce(182)
    listener = listen(*options, "--json", "--count", "1")
    assert listener.next_json()["data"] == {"chapter": 182}
    assert listener.end()[0] == 0


def test_a_restarted_server_is_found_again(
    listen: Listen, serve: Callable[..., Server], key_file: Callable[[], str]
) -> None:
    server = serve()
    options = ("--server", server.udp, "--user", server.user, "--key-file", key_file())
    listener = listen(*options, "--json", "--ping-interval", "0.3")
    server.announce(180)
    assert listener.next_json()["data"] == {"chapter": 180}
    server.kill()
    listener.errors.line("gone")
    server = serve(int(server.udp.rpartition(":")[2]))
    server.announce(181)
    assert json.loads(listener.lines.line(timeout=40))["data"] == {"chapter": 181}


def test_a_wrong_key_is_reported(listen: Listen, serve: Callable[..., Server]) -> None:
    server = serve()
    listener = listen("--server", server.udp, "--user", server.user)
    assert "unknown user or wrong proof (bad_proof)" in listener.errors.line("refused")


def test_without_ack_it_is_pushed_to_all_the_same(
    listen: Listen, serve: Callable[..., Server], key_file: Callable[[], str]
) -> None:
    server = serve()
    options = ("--server", server.udp, "--user", server.user, "--key-file", key_file())
    listener = listen(*options, "--no-ack", "--json", "--count", "2")
    listener.errors.line("subscribed")
    server.announce(180)
    server.announce(181)
    assert [listener.next_json()["data"]["chapter"] for _ in range(2)] == [180, 181]
    assert listener.end()[0] == 0
