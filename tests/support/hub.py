"""One whole installation: a source, a database, the programs over it, and listeners."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sql
from mangadex_sim import Simulator
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE_S

# Tables whose rows are the same in two installations that follow the same source.
WHAT_COUNTS = {
    "titles": "SELECT mangadex_id, title, author, status, total_chapters, cover_url,"
    " (SELECT string_agg(g.name, ',' ORDER BY g.name) FROM manga_genres mg"
    "  JOIN genres g ON g.id = mg.genre_id WHERE mg.manga_id = manga.id) FROM manga ORDER BY 1",
    "chapters": "SELECT m.mangadex_id, c.translated_language, c.volume, c.chapter_number,"
    " c.mangadex_chapter_id, c.title FROM chapters c JOIN manga m ON m.id = c.manga_id"
    " ORDER BY 1, 2, 3, 4, 5",
    "notifications": "SELECT u.username, n.type, n.title, n.message, n.data FROM notifications n"
    " JOIN users u ON u.id = n.user_id ORDER BY 1, 2, 3, 4, 5",
    "owed": "SELECT count(*) FROM notification_events WHERE accepted_at IS NULL",
    "pages": "SELECT count(*) FROM sync_pages",
}


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
        """Start the notification server; the batch's settings then point to it."""
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


def rows(url: str, query: str) -> list[Any]:
    with sql.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def libraries(*hubs: Hub) -> None:
    """Every reader reads every title."""
    for hub in hubs:
        with sql.connect(hub.env["DATABASE_URL"]) as connection:
            connection.execute(
                "INSERT INTO user_library (user_id, manga_id)"
                " SELECT users.id, manga.id FROM users, manga ORDER BY manga.mangadex_id"
            )
