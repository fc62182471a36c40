"""Everything for real: the stand-in source, PostgreSQL, the server, the batch and listeners."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import sql
from mangadex_sim import Simulator
from tests.support.paths import ROOT
from tests.support.readers import Readers

PATIENCE_S = 20


class Listener:
    """`scripts/udp_listener.py --json` as a process; its lines come one by one."""

    def __init__(self, server: str, user_id: str, key: str, folder: Path) -> None:
        key_file = folder / f"{user_id}.key"
        key_file.write_text(key)
        key_file.chmod(0o600)
        script = str(ROOT / "scripts" / "udp_listener.py")
        command = [sys.executable, script, "--server", server, "--user", user_id, "--json"]
        self._process = subprocess.Popen(
            [*command, "--key-file", str(key_file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._connected = threading.Event()
        self._threads = [
            threading.Thread(target=self._read_news),
            threading.Thread(target=self._read_status),
        ]
        for thread in self._threads:
            thread.start()

    def _read_news(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))

    def _read_status(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "subscribed at" in line:
                self._connected.set()

    def wait_until_connected(self) -> None:
        assert self._connected.wait(PATIENCE_S)

    def take(self, number: int) -> list[dict[str, Any]]:
        """The next so many notifications."""
        return [self._lines.get(timeout=PATIENCE_S) for _ in range(number)]

    def has_more(self) -> bool:
        return not self._lines.empty()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


@dataclass
class Hub:
    """One installation: a database, a source, and the settings that its programs share."""

    sim: Simulator
    env: dict[str, str]
    run_program: Callable[..., Any]
    start_program: Callable[..., Any]
    folder: Path
    listeners: list[Listener] = field(default_factory=list)
    udp: str = ""

    def batch(self, *arguments: str, code: int = 0) -> Any:
        done = self.run_program("batch", *arguments, "--json", env=self.env, timeout=120)
        assert done.code == code, done.stderr
        return done.json

    def notify(self, *arguments: str) -> str:
        done = self.run_program("notify_server", *arguments, env=self.env)
        assert done.code == 0, done.stderr
        return str(done.stdout.splitlines()[-1] if done.stdout else "")

    def serve(self, *, http_port: str = "0", udp_port: str = "0") -> subprocess.Popen[str]:
        """Starts the notification server; the batch's settings then point to it."""
        ports = {"UDP_HTTP_PORT": http_port, "UDP_PORT": udp_port}
        process: subprocess.Popen[str] = self.start_program(
            "notify_server", "serve", env=self.env | ports
        )
        assert process.stdout is not None
        words = dict(pair.split("=", 1) for pair in process.stdout.readline().split()[1:])
        self.env["UDP_SERVER_URL"] = f"http://{words['http']}"
        self.udp = words["udp"]
        return process

    def add_user(self, name: str, *titles: str) -> str:
        user_id = self.notify("user", "add", name)
        if titles:
            self.notify("library", "add", name, *titles)
        return user_id

    def listen(self, user_id: str) -> Listener:
        listener = Listener(self.udp, user_id, self.notify("key", user_id), self.folder)
        self.listeners.append(listener)
        listener.wait_until_connected()
        return listener


@pytest.fixture
def make_hub(
    run_program: Callable[..., Any], start_program: Callable[..., Any], home: Path, tmp_path: Path
) -> Iterator[Callable[..., Hub]]:
    """`make_hub(sim, database_url)` → Hub; listeners are ended after the test."""
    hubs: list[Hub] = []

    def make(sim: Simulator, database_url: str, **settings: str) -> Hub:
        env = {
            "DATABASE_URL": database_url,
            "MANGADEX_API_URL": sim.url,
            "MANGA_SYNC_RATE_PER_SECOND": "200",
            "UDP_SERVER_URL": "http://127.0.0.1:9",
            "NOTIFY_SECRET": "a secret for tests, long enough",
        }
        hubs.append(Hub(sim, env | settings, run_program, start_program, tmp_path))
        return hubs[-1]

    yield make
    for listener in [each for hub in hubs for each in hub.listeners]:
        listener.close()


@pytest.fixture
def make_readers() -> Iterator[Callable[..., Readers]]:
    """`make_readers(hub)`: one client of every user; closed after the test."""
    made: list[Readers] = []

    def make(hub: Hub) -> Readers:
        made.append(Readers(hub.udp, json.loads(hub.notify("key", "--all", "--json"))))
        return made[-1]

    yield make
    for readers in made:
        readers.close()


@pytest.fixture
def simulator() -> Iterator[Callable[..., Simulator]]:
    """`simulator(titles=50, rate=0)` → a started Simulator; stopped after the test."""
    started: list[Simulator] = []

    def start(**settings: Any) -> Simulator:
        started.append(Simulator(**settings))
        started[-1].start()
        return started[-1]

    yield start
    for sim in started:
        sim.stop()


def rows(url: str, query: str) -> list[Any]:
    with sql.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()
