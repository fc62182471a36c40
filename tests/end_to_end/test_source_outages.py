"""The source is down, slow, banning, or answers nonsense: runs end early, and nothing is missed.

One installation works while the source is well, the other during the outage; afterwards both hold
the same rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import sql
from mangadex_sim import Simulator
from mangadex_sim.server.faults import MODES
from tests.support.budget import forget_budget
from tests.support.hub import WHAT_COUNTS, Hub, libraries, rows

SEED = 20260308
IMPORT = ("initial-sync", "--count", "60")
NEWS = (("new-manga-poll",), ("chapter-feed",), ("chapter-check", "--all"), ("metadata-refresh",))
PER_SECOND = 100
SETTINGS = {
    "MANGA_SYNC_REFRESH_HOURS": "0",
    "MANGA_SYNC_CHAPTER_INTERVAL_HOURS": "0",
    "MANGA_SYNC_RATE_PER_SECOND": str(PER_SECOND),
    "MANGA_SYNC_WORKERS": "4",
}
# Other titles than the real ones are believed, and announced when they are put right.
BELIEVED = {"title_nul", "title_1mb", "title_lone_surrogate", "title_without_relationships"}
NONSENSE = sorted(set(MODES) - BELIEVED - {"403_html_ban"})
Hubs = Callable[..., Hub]
Simulators = Callable[..., Simulator]


def run_hastily(hub: Hub, *job: str) -> Any:
    """A run that is not patient; however it ends, it does so with one clear line at most."""
    done = hub.run_program("tests.support.hasty_batch", *job, "--json", env=hub.env, timeout=60)
    assert done.code in (0, 1, 75), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert done.json.get("exit_code", 0) == done.code
    return done.json


def fails(hub: Hub, *job: str) -> int:
    """Run a job that has to end with 75; return how many requests reached the source."""
    before = hub.sim.stats()["total"]
    done = run_hastily(hub, *job)
    assert (done["status"], done["exit_code"]) == ("error", 75)
    name = job[0].replace("-", "_")
    query = f"SELECT status, error_message FROM sync_state WHERE sync_type = '{name}'"
    assert rows(hub.env["DATABASE_URL"], query) == [("error", done["error"])]
    return int(hub.sim.stats()["total"] - before)


def make_news(sim: Simulator, chance: random.Random) -> None:
    sim.add_titles(30, contentRating="safe")
    indexes = chance.sample(range(100), 40)
    for index in indexes[:30]:
        sim.publish(index, language="en")
    for index in indexes[30:]:
        sim.edit_title(index, title=f"Renamed {index}")


@pytest.mark.parametrize("trouble", ["refuse", "hang", "html_200"])
def test_runs_during_an_outage_end_with_75_probe_once_and_lose_nothing(
    make_hub: Hubs, simulator: Simulators, database_url: str, trouble: str
) -> None:
    sim = simulator(titles=100, rate=0)
    hub = make_hub(sim, database_url, **SETTINGS)
    for jobs in ((IMPORT,), NEWS):
        if jobs is NEWS:
            sim.publish(sim.add_title(contentRating="safe", followedCount=1), language="en")
        _begin(sim, trouble)
        assert fails(hub, *jobs[0]) <= 5  # one page, tried as often as may be
        for job in jobs[1:] + jobs[:1]:
            assert fails(hub, *job) <= 1
        sim.heal()
        sim.up()
        before = sim.stats()["total"]
        done = [hub.batch(*job) for job in jobs]
        assert {each["status"] for each in done} == {"completed"}
        assert sim.stats()["total"] - before == sum(each["requests"] for each in done)
    assert [each["events"] for each in done] == [1, 0, 0, 0]
    assert rows(database_url, "SELECT count(*) FROM mangahub_meta WHERE key = 'source'") == [(0,)]


def _begin(sim: Simulator, trouble: str) -> None:
    if trouble == "refuse":
        sim.down(refuse=True)
    else:
        sim.fail(trouble, count=None)


def test_a_ban_is_met_once_and_sat_out_by_all(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=100, rate=0)
    hub = make_hub(sim, database_url, **SETTINGS)
    hub.batch(*IMPORT)
    sim.publish(3, language="en")
    sim.fail("403_html_ban", count=None)
    # Workers that send requests at the same time all see it.
    assert 1 <= fails(hub, "chapter-check", "--all") <= 5
    for job in NEWS:
        assert fails(hub, *job) == 0
    _let_a_ban_pass(hub)
    assert fails(hub, "chapter-feed") == 1  # it goes on, and is twice as long now
    assert rows(
        database_url,
        "SELECT value ->> 'bans', (value ->> 'until')::timestamptz - now() > '15 minutes'"
        " FROM mangahub_meta WHERE key = 'source'",
    ) == [("2", True)]
    sim.heal()
    assert fails(hub, "chapter-feed") == 0
    _let_a_ban_pass(hub)
    assert hub.batch("chapter-feed")["status"] == "completed"
    assert hub.batch("chapter-check", "--all")["status"] == "completed"


def _let_a_ban_pass(hub: Hub) -> None:
    """As if its time were over: what the database and this host know of it."""
    with sql.connect(hub.env["DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE mangahub_meta SET value = jsonb_set(value, '{until}', to_jsonb(now()))"
            " WHERE key = 'source'"
        )
    forget_budget(hub.env["DATABASE_URL"])


def test_a_source_that_takes_five_seconds_slows_all_jobs_down_and_fails_none(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=100, rate=0)
    hub = make_hub(sim, database_url, **SETTINGS)
    hub.batch(*IMPORT)
    sim.add_title(contentRating="safe")
    sim.slow(5_000)
    jobs = (("initial-sync", "--count", "100"), NEWS[0], NEWS[1], ("chapter-check", "--limit", "4"),
            NEWS[3])  # fmt: skip
    started = [hub.start_program("batch", *job, "--json", env=hub.env) for job in jobs]
    for process in started:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert sim.stats()["by_status"].keys() == {"200"}


def test_after_an_hour_of_nonsense_everything_is_as_if_there_had_been_none(
    make_hub: Hubs, simulator: Simulators, database_url: str, empty_database_url: str
) -> None:
    sim = simulator(titles=100, rate=0)
    sql.migrate(empty_database_url)
    spared = make_hub(sim, database_url, **SETTINGS)
    tried = make_hub(sim, empty_database_url, **SETTINGS)
    for hub in (spared, tried):
        hub.serve()
        hub.add_user("anna")
    chance = random.Random(SEED)
    for jobs, turns in (((IMPORT,), 3), (NEWS, 2)):
        if jobs is NEWS:
            libraries(spared, tried)
            make_news(sim, chance)
        for job in jobs * turns:
            _talk_nonsense(sim, chance)
            run_hastily(tried, *job)
            sim.heal()
        for hub in (spared, tried):
            for job in jobs:
                assert hub.batch(*job)["status"] in ("completed", "skipped")
    for hub in (spared, tried):
        hub.batch("relay")
    for name, query in WHAT_COUNTS.items():
        expected, found = (rows(hub.env["DATABASE_URL"], query) for hub in (spared, tried))
        assert found == expected, name
    assert sim.stats()["max_in_a_second"] <= PER_SECOND


def _talk_nonsense(sim: Simulator, chance: random.Random) -> None:
    """From now on about every third answer is spoiled, each in another way."""
    for mode in chance.sample(NONSENSE, len(NONSENSE)):
        sim.fail(
            mode,
            probability=0.008,
            seed=chance.randrange(10**9),
            position=chance.randrange(50),
            wait_s=0.1,
            bytes=40 * 2**20,
        )
