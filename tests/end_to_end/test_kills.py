"""kill -9 at random moments of every job: nothing is lost by it and nothing comes twice.

Two databases follow the same source. One batch runs undisturbed, the other is killed again and
again; in the end both hold the same rows, and their readers got the same news.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import sql
from mangadex_sim import Simulator
from tests.support.hub import WHAT_COUNTS, Hub, libraries, rows

SEED = 20260131
JOBS = (
    ("initial-sync", "--count", "300"),
    ("new-manga-poll",),
    ("chapter-feed",),
    ("chapter-check", "--all"),
    ("metadata-refresh",),
)
KILLS_PER_JOB = 4
MOST_TRIES = 20
STARTUP_S = 0.15  # before that a run has not begun


def test_rows_and_notifications_are_those_of_an_undisturbed_run(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
    empty_database_url: str,
) -> None:
    sim = simulator(titles=350, rate=0, latency_s=0.02)
    sql.migrate(empty_database_url)
    settings = {"MANGA_SYNC_REFRESH_HOURS": "0", "MANGA_SYNC_WORKERS": "3"}
    settings["MANGA_SYNC_RATE_PER_SECOND"] = "300"
    calm = make_hub(sim, database_url, **settings)
    killed = make_hub(sim, empty_database_url, **settings)
    chance = random.Random(SEED)
    kills = 0
    for hub in (calm, killed):
        hub.serve()
        hub.add_user("anna")
    for job in JOBS:
        if job[0] == "new-manga-poll":
            libraries(calm, killed)
            make_news(sim, chance)
        length_s = calm.batch(*job)["seconds"]
        kills += kill_often(killed, job, length_s, chance)
        killed.batch(*job)
    for hub in (calm, killed):
        hub.batch("relay")
    assert kills >= 16
    for name, query in WHAT_COUNTS.items():
        expected, found = (rows(hub.env["DATABASE_URL"], query) for hub in (calm, killed))
        assert found == expected, name
    told = rows(database_url, "SELECT type, count(*) FROM notifications GROUP BY 1 ORDER BY 1")
    assert [kind for kind, _ in told] == ["MANGA_UPDATE", "NEW_CHAPTER", "NEW_MANGA"]
    assert all(number >= 10 for _, number in told)


def make_news(sim: Simulator, chance: random.Random) -> None:
    """New titles, new chapters of some, single and many, and edits."""
    sim.add_titles(50, contentRating="safe")
    indexes = chance.sample(range(350), 60)
    for index in indexes[:40]:
        for _ in range(chance.choice((1, 1, 2, 7))):
            sim.publish(index, language="en")
    for index in indexes[40:]:
        sim.edit_title(index, title=f"Renamed {index}")


def kill_often(hub: Hub, job: tuple[str, ...], length_s: float, chance: random.Random) -> int:
    """Run a job until it was killed often enough; one that ended in time is shot at earlier."""
    kills = 0
    for _ in range(MOST_TRIES):
        if kills == KILLS_PER_JOB:
            break
        was_killed = run_and_kill(hub, job, STARTUP_S + chance.uniform(0, length_s))
        kills += was_killed
        length_s = length_s if was_killed else length_s * 0.7
    return kills


def run_and_kill(hub: Hub, job: tuple[str, ...], moment_s: float) -> bool:
    """Start a job and kill it after a time; return whether it was still running."""
    process: subprocess.Popen[str] = hub.start_program("batch", *job, env=hub.env)
    try:
        process.wait(timeout=moment_s)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        return True
    return False
