"""PostgreSQL goes away in the middle of every job and under the notification server.

Two databases follow the same source. One runs undisturbed, the other is shut down or killed
in the middle of each job; in the end both hold the same, and their readers were told the same.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import requests

from mangadex_sim import Simulator
from tests.support.databases import OwnDatabase
from tests.support.hub import WHAT_COUNTS, Hub, libraries, rows
from tests.support.load import (
    add_users,
    check_all_is_told,
    count,
    delivering,
    owe_events,
    wait_for_receipts,
)
from tests.support.readers import Readers
from tests.support.waiting import wait_until

SEED = 20260219
HOWS = ("stop", "crash")
JOBS = (
    ("initial-sync", "--count", "200"),
    ("new-manga-poll",),
    ("chapter-feed",),
    ("chapter-check", "--all"),
    ("metadata-refresh",),
)


def test_a_database_that_restarts_during_a_job_costs_that_run_at_most(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
    own_database: OwnDatabase,
) -> None:
    sim = simulator(titles=250, rate=0, latency_s=0.03)
    settings = {"MANGA_SYNC_REFRESH_HOURS": "0", "MANGA_SYNC_WORKERS": "4"}
    calm = make_hub(sim, database_url, **settings)
    shaken = make_hub(sim, own_database.url, **settings)
    for hub in (calm, shaken):
        hub.serve()
        hub.add_user("anna")
    chance = random.Random(SEED)
    codes = set()
    for job in JOBS:
        if job[0] == "new-manga-poll":
            libraries(calm, shaken)
            _make_news(sim, chance)
        for how in HOWS:
            codes.add(_interrupt(shaken, job, own_database, how, chance.randrange(3)))
        calm.batch(*job)
        assert shaken.batch(*job)["status"] == "completed"
    for hub in (calm, shaken):
        hub.batch("relay")
    assert 75 in codes
    for name, query in WHAT_COUNTS.items():
        expected, found = (rows(hub.env["DATABASE_URL"], query) for hub in (calm, shaken))
        assert found == expected, name
    told = rows(own_database.url, "SELECT type FROM notifications GROUP BY 1 ORDER BY 1")
    assert [kind for (kind,) in told] == ["MANGA_UPDATE", "NEW_CHAPTER", "NEW_MANGA"]


def _make_news(sim: Simulator, chance: random.Random) -> None:
    sim.add_titles(120, contentRating="safe")
    indexes = chance.sample(range(250), 60)
    for index in indexes[:40]:
        for _ in range(chance.choice((1, 1, 2, 7))):
            sim.publish(index, language="en")
    for index in indexes[40:]:
        sim.edit_title(index, title=f"Renamed {index}")


def _interrupt(
    hub: Hub, job: tuple[str, ...], database: OwnDatabase, how: str, requests_later: int
) -> int:
    """Restart the database when the job has sent some requests; return its exit code."""
    before = hub.sim.stats()["total"]
    process = _start(hub, *job)
    wait_until(lambda: hub.sim.stats()["total"] > before + requests_later or _has_ended(process))
    getattr(database, how)()
    database.start()
    return _end(process)


def _start(hub: Hub, *job: str) -> subprocess.Popen[str]:
    process: subprocess.Popen[str] = hub.start_program("batch", *job, "--json", env=hub.env)
    return process


def _has_ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def _end(process: subprocess.Popen[str]) -> int:
    """A run survives, or ends with 75 and one clear line."""
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (0, 75), stderr
    assert "Traceback" not in stderr
    errors = [line for line in stderr.splitlines() if " ERROR " in line]
    assert len(errors) == (process.returncode == 75), stderr
    return process.returncode


def test_under_a_server_with_readers_nothing_is_lost_or_doubled(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    own_database: OwnDatabase,
    make_readers: Callable[..., Readers],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, events, users = own_database.url, 200, 20
    hub = make_hub(simulator(titles=1), url)
    add_users(url, users)
    owe_events(url, events)
    hub.serve()
    readers = make_readers(hub)
    readers.wait_until_connected()
    with delivering(hub, monkeypatch):
        for reached, how in ((40, "stop"), (80, "crash"), (120, "stop"), (160, "crash")):
            wait_for_receipts(url, reached)
            getattr(own_database, how)()
            assert _ask(hub, "/readyz") == 503
            assert _post_news(hub) == 503
            assert _ask(hub, "/healthz") == 200
            own_database.start()
            wait_until(lambda: _ask(hub, "/readyz") == 200)
        readers.wait_until_each_heard(events, patience_s=30)
    check_all_is_told(url, readers, events)
    assert {reader.subscriptions for reader in readers.all} == {1}  # no client had to resubscribe


def _ask(hub: Hub, path: str) -> int:
    return requests.get(hub.env["UDP_SERVER_URL"] + path, timeout=10).status_code


def _post_news(hub: Hub) -> int:
    body = {"manga_id": 1, "title": "Refused", "event_id": "refused"}
    url = hub.env["UDP_SERVER_URL"] + "/notify/new-manga"
    return requests.post(url, json=body, timeout=10).status_code


@pytest.mark.parametrize("how", HOWS)
def test_a_relay_that_loses_the_database_ends_with_75_and_the_next_one_delivers_the_rest(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    own_database: OwnDatabase,
    how: str,
) -> None:
    url, events, users = own_database.url, 1_500, 40
    hub = make_hub(simulator(titles=1), url)
    add_users(url, users)
    owe_events(url, events)
    hub.serve()
    relay = _start(hub, "relay")
    wait_for_receipts(url, 600)
    getattr(own_database, how)()
    own_database.start()
    assert _end(relay) == 75
    wait_until(lambda: _ask(hub, "/readyz") == 200)
    assert hub.batch("relay")["owed"] == 0
    assert count(url, "notifications") == events * users
    assert count(url, "(SELECT DISTINCT event_id, user_id FROM notifications) d") == events * users


def test_whoever_comes_next_starts_an_embedded_database_that_was_killed(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    own_database: OwnDatabase,
    make_readers: Callable[..., Readers],
) -> None:
    hub = make_hub(simulator(titles=30, rate=0), own_database.url)
    del hub.env["DATABASE_URL"]
    hub.batch("initial-sync", "--count", "10")
    hub.serve()
    hub.add_user("anna")
    readers = make_readers(hub)
    readers.wait_until_connected()
    hub.sim.add_title(contentRating="safe")
    own_database.crash()
    assert hub.batch("new-manga-poll")["events"] == 1
    hub.batch("relay")
    readers.wait_until_each_heard(1, patience_s=20)
    own_database.crash()
    wait_until(lambda: _ask(hub, "/readyz") == 200, 20)  # the server looks after it too
