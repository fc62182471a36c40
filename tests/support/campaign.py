"""A kill campaign: programs die by kill -9 at random moments, and readers must not notice.

What readers should have received is computed from the source alone, at the end: each chapter that
was published since the import once, each new title once, and for each title a chain of changes from
its first name to its last.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sql
from bench.harness import family
from mangadex_sim import Simulator
from tests.support.hub import Hub, rows
from tests.support.programs import kill
from tests.support.readers import Readers
from tests.support.waiting import wait_until

TITLES = 24
HISTORY = ("1", "2")  # readable long before the import
FIRST_NUMBER = 100  # of the chapters that the campaign publishes
USERS = ("anna", "bert")
Job = tuple[str, ...]

IMPORT: Job = ("initial-sync", "--all")
JOBS: tuple[Job, ...] = (
    ("new-manga-poll",),
    ("chapter-feed",),
    ("chapter-check", "--all"),
    ("metadata-refresh",),
    ("relay",),
)
SETTINGS = {
    "MANGA_SYNC_REFRESH_HOURS": "0",
    "MANGA_SYNC_CHAPTER_INTERVAL_HOURS": "0",
    "MANGA_SYNC_WORKERS": "2",
    "MANGA_SYNC_RATE_PER_SECOND": "300",
    "LOG_LEVEL": "WARNING",  # nobody reads the pipes while programs run
}
STARTUP_S = 0.15  # before that a run has not begun
SETTLED_S = 60  # until everything is acknowledged, after the last kill

Heard = Counter[tuple[str, ...]]


@dataclass
class Outcome:
    """What became of a campaign: kills by what was hit, and what readers missed or heard twice."""

    kills: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    told: int = 0


class Campaign:
    """One installation and its source, changed and killed at random.

    Args:
        make_readers: returns connected clients, one for each user.
    """

    def __init__(self, hub: Hub, seed: int, make_readers: Callable[[Hub], Readers]) -> None:
        self._hub = hub
        self._sim: Simulator = hub.sim
        self._chance = random.Random(seed)
        self._make_readers = make_readers
        self._length_s = {job: 1.0 for job in (IMPORT, *JOBS)}
        self._next_number = FIRST_NUMBER
        self._titles: list[str] = []
        self._names: dict[str, str] = {}  # titles that were renamed, as the source has them now
        self._outcome = Outcome()
        self._server: subprocess.Popen[str] | None = None
        self._ports: dict[str, str] = {}

    def run(self, kills: int) -> Outcome:
        """Kill so often, let every job end once, and compare with the source."""
        readers = self.begin(kills // 10)
        while self._outcome.kills.total() < kills:
            self.change_source()
            self._strike(*self._chance.sample(JOBS, 2))
        return self.end(readers)

    def begin(self, kills: int = 0) -> Readers:
        """Import a catalogue that has a history, with so many kills; return connected readers."""
        self._titles = self._sim.add_titles(TITLES, contentRating="safe")
        for title in self._titles:
            for number in HISTORY:
                self._sim.publish(title, number=number, readableAt="2020-01-01T00:00:00")
        self._serve()
        for name in USERS:
            self._hub.add_user(name)
        while self._outcome.kills.total() < kills:
            self._strike(IMPORT)
        self._hub.batch(*IMPORT)
        self._fill_libraries()
        return self._make_readers(self._hub)

    def end(self, readers: Readers) -> Outcome:
        """Let every job end once, and compare what readers were told with the source."""
        for job in JOBS:
            self._hub.batch(*job)
        self._judge(self._titles, readers)
        return self._outcome

    @property
    def server_pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    # --- disturbing ----------------------------------------------------------------------------

    def _serve(self) -> None:
        self._server = self._hub.serve(**self._ports)
        self._ports = {
            "http_port": self._hub.env["UDP_SERVER_URL"].rpartition(":")[2],
            "udp_port": self._hub.udp.rpartition(":")[2],
        }

    def _fill_libraries(self) -> None:
        with sql.connect(self._hub.env["DATABASE_URL"]) as connection:
            connection.execute(
                "INSERT INTO user_library (user_id, manga_id)"
                " SELECT users.id, manga.id FROM users, manga"
            )

    def change_source(self) -> None:
        """Publish chapters of some titles, rename one, and add one now and then."""
        for title in self._chance.sample(self._titles, 3):
            for _ in range(self._chance.choice((1, 1, 2, 6))):
                self._sim.publish(title, number=str(self._next_number))
                self._next_number += 1
        renamed = self._chance.choice(self._titles)
        self._names[renamed] = f"Renamed at {self._next_number}"
        self._sim.edit_title(renamed, title=self._names[renamed])
        if self._chance.random() < 0.3:
            self._sim.add_title(contentRating="safe")

    def _strike(self, *jobs: Job) -> None:
        """Start jobs together; kill each, one of its processes, or the server while it runs."""
        started = [(job, self._hub.start_program("batch", *job, env=self._hub.env)) for job in jobs]
        for job, process in started:
            try:
                process.wait(STARTUP_S + self._chance.uniform(0, self._length_s[job]))
            except subprocess.TimeoutExpired:
                self._kill(process, self._chance.choice(("job", "job", "worker", "server")))
            else:
                self._length_s[job] *= 0.8  # it was done sooner
        for _, process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            kill(process)

    def _kill(self, process: subprocess.Popen[str], what: str) -> None:
        self._outcome.kills[what] += 1
        if what == "server":
            assert self._server is not None
            kill(self._server)
            self._serve()
        else:
            _, *children = family(process.pid) or [process.pid]
            victim = self._chance.choice(children) if what == "worker" and children else process.pid
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    # --- judging -------------------------------------------------------------------------------

    def _judge(self, titles: list[str], readers: Readers) -> None:
        url = self._hub.env["DATABASE_URL"]
        unread = "SELECT count(*) FROM notifications WHERE read IS NOT TRUE"
        with suppress(AssertionError):  # what is missing then is named
            wait_until(lambda: rows(url, unread) == [(0,)], SETTLED_S)
        readers.close()
        expected = Counter(self._expected(titles))
        for user_id in {reader.user_id for reader in readers.all}:
            heard, changes = self._read(url, user_id)
            self._compare(user_id, expected, heard)
            for title in titles:
                self._follow(user_id, title, changes.get(title, []))
        self._compare_datagrams(url, readers)

    def _expected(self, titles: list[str]) -> Iterator[tuple[str, ...]]:
        """Yield what the source has now and had not at the import."""
        for title in titles:
            for row in self._sim.list_chapters(title):
                if int(row["number"]) >= FIRST_NUMBER:
                    yield "chapter", title, row["number"]
        for title in self._sim.title_ids(TITLES, 10_000):
            yield "title", title

    def _read(self, url: str, user_id: str) -> tuple[Heard, dict[str, list[Any]]]:
        """Return what a user's notifications tell of, and the changes of each title's name."""
        heard: Heard = Counter()
        changes: dict[str, list[Any]] = {}
        for title, kind, data in rows(
            url,
            "SELECT m.mangadex_id::text, n.type, n.data FROM notifications n"
            f" JOIN manga m ON m.id = n.manga_id WHERE user_id = '{user_id}' ORDER BY n.id",
        ):
            if kind == "NEW_CHAPTER":
                numbers = data["data"].get("chapters") or [data["data"]["chapter"]]
                heard.update(("chapter", title, str(number)) for number in numbers)
            elif kind == "NEW_MANGA":
                heard["title", title] += 1
            else:
                changes.setdefault(title, []).extend(data["changes"])
        return heard, changes

    def _compare(self, user_id: str, expected: Heard, heard: Heard) -> None:
        self._outcome.told += heard.total()
        self._outcome.lost += [f"{user_id}: {' '.join(each)}" for each in expected - heard]
        self._outcome.twice += [f"{user_id}: {' '.join(each)}" for each in heard - expected]

    def _follow(self, user_id: str, title: str, changes: list[Any]) -> None:
        """The old value of each change is the new one of the change before."""
        self._outcome.told += len(changes)
        values = [change["new_value"] for change in changes]
        for before, after in pairwise(changes):
            if before["new_value"] != after["old_value"]:
                self._outcome.lost.append(f"{user_id}: {title} between {before} and {after}")
        if values[-1:] != [name for key, name in self._names.items() if key == title]:
            self._outcome.lost.append(f"{user_id}: {title} is {self._names.get(title)}")
        again = Counter(values) - Counter(set(values))
        self._outcome.twice += [f"{user_id}: {title} became {value}" for value in again]

    def _compare_datagrams(self, url: str, readers: Readers) -> None:
        """Each notification reached its reader, with one id however often it was sent."""
        for reader in readers.all:
            query = f"SELECT id FROM notifications WHERE user_id = '{reader.user_id}'"
            missing = {row[0] for row in rows(url, query)} - {each["id"] for each in reader.heard}
            self._outcome.lost += [f"{reader.user_id}: datagram {each}" for each in sorted(missing)]
