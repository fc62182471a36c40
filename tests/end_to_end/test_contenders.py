"""Concurrent runs: the same job twice, different jobs at once; and runs that are stopped."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable

from mangadex_sim import Simulator
from tests.support.hub import WHAT_COUNTS, Hub, rows
from tests.support.waiting import wait_until

SEED = 20260311
JOBS = (
    ("initial-sync", "--count", "200"),
    ("new-manga-poll",),
    ("chapter-feed",),
    ("chapter-check", "--all"),
    ("metadata-refresh",),
)
PROMISED_S = 10
SIGNALS = (signal.SIGTERM, signal.SIGINT)
SETTINGS = {"MANGA_SYNC_REFRESH_HOURS": "0", "MANGA_SYNC_WORKERS": "3"}
Hubs = Callable[..., Hub]
Simulators = Callable[..., Simulator]


def start(hub: Hub, job: tuple[str, ...]) -> subprocess.Popen[str]:
    process: subprocess.Popen[str] = hub.start_program("batch", *job, "--json", env=hub.env)
    return process


def make_news(sim: Simulator, number: int) -> None:
    sim.add_titles(number, contentRating="safe")
    for index in range(number):
        sim.publish(index, language="en")
        sim.edit_title(number + index, title=f"Renamed {index}")


def test_of_two_hosts_that_start_a_job_in_the_same_second_one_runs_and_one_says_so(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=250, rate=0, latency_s=0.03)
    hub = make_hub(sim, database_url, **SETTINGS)
    for job in (JOBS[0], JOBS[2]):
        sim.slow(3_000)  # longer than a run waits for the lock
        both = [start(hub, job) for _ in range(2)]
        wait_until(lambda: any(each.poll() is not None for each in both), 20)  # noqa: B023
        sim.slow(0)
        ended = {each.returncode: each.communicate(timeout=60)[1] for each in both if _ended(each)}
        assert set(ended) == {0, 75}, ended
        (line,) = ended[75].splitlines()
        assert f"another run of {job[0]} is under way" in line


def _ended(process: subprocess.Popen[str]) -> bool:
    process.wait(60)
    return True


def test_different_jobs_at_once_do_what_they_do_one_after_the_other(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=250, rate=0, latency_s=0.03)
    hub = make_hub(sim, database_url, **SETTINGS)
    hub.serve()
    hub.add_user("anna")
    hub.batch(*JOBS[0])
    make_news(sim, 30)
    jobs = (("initial-sync", "--count", "250", "--force"), *JOBS[1:], ("relay",))
    started = [start(hub, job) for job in jobs]
    for process in started:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode in (0, 75) if process is started[-1] else not process.returncode
        assert "Traceback" not in stderr
    hub.batch("relay")
    assert rows(database_url, WHAT_COUNTS["owed"]) == [(0,)]
    chapters = rows(database_url, "SELECT count(*) FROM chapters")[0][0]
    told = rows(database_url, "SELECT count(*) FROM notification_events WHERE type = 'new-chapter'")
    assert told == [(chapters,)]
    again = [hub.batch(*job) for job in JOBS[1:]]
    assert [(each["events"], each["chapters_new"]) for each in again] == [(0, 0)] * 4


def test_a_signal_at_any_moment_ends_a_job_in_time_and_the_next_run_completes(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=200, rate=0)
    hub = make_hub(sim, database_url, **SETTINGS)
    chance = random.Random(SEED)
    stopped = []
    for job in JOBS:
        if job[0] == "new-manga-poll":
            make_news(sim, 30)
        sim.slow(500)  # longer than a busy machine needs from a request to the signal
        stopped += [_stop(hub, job, number, chance.randrange(2)) for number in SIGNALS]
        sim.slow(0)
        assert hub.batch(*job)["status"] in ("completed", "skipped")
        assert _state_of(hub, job) == ("completed", None)
    assert sum(stopped) >= 6


def _stop(hub: Hub, job: tuple[str, ...], number: signal.Signals, requests_later: int) -> bool:
    """Signal a job that has sent some requests; return whether it was still under way."""
    before = hub.sim.stats()["total"]
    process = start(hub, job)
    wait_until(lambda: hub.sim.stats()["total"] > before + requests_later or process.poll() == 0)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PROMISED_S)
    assert process.returncode in (128 + number, 0), stderr
    assert "Traceback" not in stderr
    if process.returncode == 0:
        return False
    assert f"stopped by signal {number}" in stderr.splitlines()[-1]
    status, message = _state_of(hub, job)
    assert status == "idle"
    assert message == f"stopped by signal {number}; the next run continues from its cursor"
    return True


def _state_of(hub: Hub, job: tuple[str, ...]) -> tuple[str, str | None]:
    name = job[0].replace("-", "_")
    query = f"SELECT status, error_message FROM sync_state WHERE sync_type = '{name}'"
    found: tuple[str, str | None] = rows(hub.env["DATABASE_URL"], query)[0]
    return found


def test_a_run_that_was_killed_is_recognised_and_what_was_due_stays_due(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=150, rate=0)
    hub = make_hub(sim, database_url, MANGA_SYNC_WORKERS="2")
    hub.batch("initial-sync", "--count", "100")
    sim.slow(50)
    process = start(hub, ("chapter-check", "--all"))
    checked = "SELECT count(*) FROM manga WHERE last_chapter_check IS NOT NULL"
    wait_until(lambda: rows(database_url, checked)[0][0] >= 20)
    process.kill()
    process.wait(10)
    wait_until(lambda: not _sessions(database_url))
    assert hub.batch("status")["workflows"]["chapter_check"]["status"] == "killed"
    done = rows(database_url, checked)[0][0]
    sim.slow(0)
    following = hub.run_program("batch", "chapter-check", "--all", "--json", env=hub.env)
    assert "The previous run was killed" in following.stderr
    assert following.json["manga_seen"] == 100 - done
    assert hub.batch("status")["workflows"]["chapter_check"]["status"] == "completed"


def _sessions(url: str) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'mangahub-batch%'"
    return int(rows(url, query)[0][0])
