"""`initial-sync`, the real program against the stand-in API and a real database."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

import sql
from batch.stop import GRACE_S
from mangadex_sim import Simulator
from mangadex_sim.server.request_counts import most_within
from tests.support.budget import forget_budget
from tests.support.calm import A_SECOND_S
from tests.support.waiting import wait_until

Batch = Callable[..., Any]
Simulators = Callable[..., Simulator]


def rows(connection: sql.Connection, query: str) -> list[Any]:
    return connection.execute(query.encode()).fetchall()


def count(connection: sql.Connection, table: str = "manga") -> int:
    return int(rows(connection, f"SELECT count(*) FROM {table}")[0][0])


def rejected(connection: sql.Connection) -> dict[str, Any]:
    query = "SELECT metadata->'rejected' FROM sync_state WHERE sync_type = 'initial_sync'"
    return rows(connection, query)[0][0] or {}


def test_as_many_titles_as_asked_for_are_stored(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=400, rate=0)
    done = batch(sim, "initial-sync", "--count", "150", "--json")
    assert done.code == 0, done.stderr
    assert (
        done.json.items()
        >= {
            "sync_type": "initial_sync",
            "status": "completed",
            "requests": 2,
            "manga_seen": 150,
            "manga_new": 150,
            "events": 0,
            "failed": 0,
        }.items()
    )
    assert count(connection) == 150
    assert count(connection, "notification_events") == 0
    without_genre = "SELECT count(*) FROM manga m WHERE NOT EXISTS"
    without_genre += " (SELECT FROM manga_genres g WHERE g.manga_id = m.id)"
    assert rows(connection, without_genre)[0][0] < 75


def test_the_default_count_is_150(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    assert batch(simulator(titles=400, rate=0), "initial-sync").code == 0
    assert count(connection) == 150


def test_a_catalogue_smaller_than_the_count_is_no_error(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    done = batch(simulator(titles=30, rate=0), "initial-sync", "--json", CONTENT_RATINGS=ALL)
    assert (done.code, done.json["status"]) == (0, "completed")
    assert count(connection) == 30


ALL = "safe,suggestive,erotica,pornographic"


def test_a_completed_run_is_skipped_unless_more_is_asked_for_or_forced(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=300, rate=0)

    def outcome(*arguments: str) -> tuple[str, int]:
        done = batch(sim, "initial-sync", "--json", *arguments)
        assert done.code == 0
        return done.json["status"], done.json["requests"]

    assert outcome("--count", "120") == ("completed", 2)
    assert outcome("--count", "120") == ("skipped", 0)
    assert outcome("--count", "50") == ("skipped", 0)
    assert outcome("--count", "50", "--force") == ("completed", 1)
    assert outcome("--count", "130") == ("completed", 2)
    assert outcome("--all")[0] == "completed"
    assert outcome("--all") == ("skipped", 0)
    assert outcome("--count", "10000") == ("skipped", 0)
    assert outcome("--count", "20", "--force") == ("completed", 1)
    assert outcome("--all") == ("skipped", 0)
    assert count(connection) == 300 - hidden_titles(sim)


def test_a_run_with_other_ratings_or_in_another_order_is_not_covered_by_one_before(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=50, rate=0)

    def status(*arguments: str, **settings: str) -> str:
        done = batch(sim, "initial-sync", "--json", *arguments, **settings)
        assert done.code == 0, done.stderr
        return str(done.json["status"])

    assert status("--count", "5") == "completed"
    assert status("--count", "5", INITIAL_ORDER="createdAt") == "completed"
    assert status("--count", "5", CONTENT_RATINGS="safe") == "completed"
    assert status("--all", CONTENT_RATINGS="safe") == "completed"
    assert status("--count", "5") == "skipped"
    assert status("--all", CONTENT_RATINGS=ALL) == "completed"
    assert count(connection) == 50
    assert status("--count", "7", INITIAL_ORDER="rating", CONTENT_RATINGS="erotica") == "skipped"


def test_a_run_of_an_earlier_version_counts_as_made_with_the_settings_it_is_met_with(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=50, rate=0)
    connection.execute(
        'UPDATE sync_state SET metadata = \'{"covered": {"count": 5}}\''
        " WHERE sync_type = 'initial_sync'"
    )

    def status(**settings: str) -> str:
        return str(batch(sim, "initial-sync", "--count", "5", "--json", **settings).json["status"])

    assert status(CONTENT_RATINGS="safe") == "skipped"
    assert status(CONTENT_RATINGS="safe,erotica") == "completed"


def hidden_titles(sim: Simulator) -> int:
    """Pornographic titles of a simulator, which are not imported by default."""
    import requests

    def total(*ratings: str) -> int:
        parameters = [("contentRating[]", rating) for rating in ratings]
        headers = {"User-Agent": "mangahub-tests/1"}
        answer = requests.get(f"{sim.url}/manga", parameters, headers=headers, timeout=10)
        return int(answer.json()["total"])

    return total("pornographic")


def test_a_source_without_titles_does_not_count_as_imported(
    simulator: Simulators, batch: Batch
) -> None:
    sim = simulator(titles=0, rate=0)
    done = batch(sim, "initial-sync", "--all", "--json")
    assert (done.code, done.json["status"], done.json["manga_seen"]) == (0, "completed", 0)
    sim.add_titles(3, contentRating="safe")
    assert batch(sim, "initial-sync", "--all", "--json").json["manga_new"] == 3


def test_new_titles_count_from_the_first_import_on(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=20, rate=0)
    query = "SELECT metadata->>'started_at' FROM sync_state WHERE sync_type = 'initial_sync'"
    assert batch(sim, "initial-sync", "--count", "5").code == 0
    first = rows(connection, query)
    assert batch(sim, "initial-sync", "--count", "10").code == 0
    assert rows(connection, query) == first


def test_a_later_larger_import_swallows_neither_changes_nor_new_titles(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=60, rate=0)
    top = [
        sim.add_title(contentRating="safe", followedCount=10**6 - place, cover=True)
        for place in range(3)
    ]
    assert batch(sim, "initial-sync", "--count", "20", "--json").json["events"] == 0
    sim.edit_title(top[0], status="hiatus")
    sim.edit_title(top[1], description="of no account to readers")
    new = sim.add_title(contentRating="safe", followedCount=10**7)
    assert batch(sim, "initial-sync", "--count", "50", "--json").json["events"] == 2
    for job in ("metadata-refresh", "new-manga-poll"):
        assert batch(sim, job, "--json", REFRESH_HOURS="0").json["events"] == 0
    told = "SELECT m.mangadex_id::text, e.type, e.payload->'changes' FROM notification_events e"
    told += " JOIN manga m ON m.id = e.manga_id ORDER BY e.type"
    assert rows(connection, told) == [
        (top[0], "manga-update", ["status"]),
        (new, "new-manga", None),
    ]
    sim.edit_title(top[2], status="hiatus")
    assert batch(sim, "initial-sync", "--count", "5", "--force", "--json").json["events"] == 1


def test_it_can_be_switched_off(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    done = batch(simulator(titles=10), "initial-sync", "--json", INITIAL="false")
    assert (done.code, done.json["status"], done.json["requests"]) == (0, "skipped", 0)
    query = "SELECT status, last_success_at FROM sync_state WHERE sync_type = 'initial_sync'"
    assert rows(connection, query) == [("idle", None)]


def test_the_whole_catalogue_is_walked_past_the_ceiling_of_ten_thousand(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=21_000, rate=0)
    done = batch(
        sim,
        "initial-sync",
        "--all",
        "--json",
        RATE_PER_SECOND="1000",
        RATE_CONCURRENCY="10",
        WORKERS="2",
        CONTENT_RATINGS=ALL,
        timeout=120,
    )
    assert done.code == 0, done.stderr
    assert count(connection) == 21_000
    assert 210 <= done.json["requests"] <= 216
    assert sim.stats()["by_status"] == {"200": done.json["requests"]}


def test_a_killed_run_goes_on_where_it_was(
    simulator: Simulators,
    batch: Batch,
    environment: Callable[..., dict[str, str]],
    start_program: Callable[..., subprocess.Popen[str]],
    connection: sql.Connection,
) -> None:
    sim = simulator(titles=2000, rate=0, latency_s=0.05)
    process = start_program(
        "batch", "initial-sync", "--count", "1500", env=environment(sim, RATE_PER_SECOND="30")
    )
    wait_until(lambda: count(connection, "sync_pages") >= 4)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    before = rows(connection, "SELECT status, last_cursor FROM sync_state ORDER BY id")[0]
    assert before[0] == "running"
    assert before[1].startswith("followedCount since the beginning offset ")
    stored = count(connection, "sync_pages")
    sim.reset()
    assert batch(sim, "status").stdout.count("killed") == 2
    done = batch(sim, "initial-sync", "--count", "1500", "--json")
    assert done.code == 0, done.stderr
    assert "The previous run was killed" in done.stderr
    assert done.json["manga_seen"] == 1500
    assert stored >= 4
    assert sim.stats()["total"] <= 15 - 4
    assert count(connection) == 1500
    assert count(connection, "sync_pages") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_ends_it_between_two_pages(
    simulator: Simulators,
    environment: Callable[..., dict[str, str]],
    start_program: Callable[..., subprocess.Popen[str]],
    connection: sql.Connection,
    number: signal.Signals,
) -> None:
    sim = simulator(titles=2000, rate=0, latency_s=0.2)
    env = environment(sim, RATE_PER_SECOND="10")
    process = start_program("batch", "initial-sync", "--count", "1500", "--json", env=env)
    wait_until(lambda: count(connection, "sync_pages") >= 2)
    os.killpg(process.pid, number)  # as a terminal and systemd do: to every process
    began = time.monotonic()
    stdout, stderr = process.communicate(timeout=15)
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + number, stderr
    assert "Traceback" not in stderr
    assert f"stopped by signal {number.value}" in stderr.splitlines()[-1]
    assert '"status": "stopped"' in stdout
    query = "SELECT status, error_message FROM sync_state WHERE sync_type = 'initial_sync'"
    status, message = rows(connection, query)[0]
    assert (status, message.startswith("stopped by signal")) == ("idle", True)
    # What was in flight has been finished: every request that was made is a stored page.
    assert count(connection, "sync_pages") == sim.stats()["total"]


def test_a_second_signal_leaves_at_once(
    simulator: Simulators,
    environment: Callable[..., dict[str, str]],
    start_program: Callable[..., subprocess.Popen[str]],
) -> None:
    sim = simulator(titles=200, rate=0)
    sim.fail("hang", count=None)
    process = start_program("batch", "initial-sync", env=environment(sim))
    wait_until(lambda: sim.stats()["total"] >= 1)

    def has_ended_after_another() -> bool:
        process.terminate()  # one that comes too soon after the one before is the same to it
        return process.poll() is not None

    wait_until(has_ended_after_another, GRACE_S / 2)
    assert process.returncode == 128 + signal.SIGTERM
    sim.heal()


def test_a_job_without_workers_is_stopped_in_time_though_the_source_hangs(
    simulator: Simulators,
    batch: Batch,
    environment: Callable[..., dict[str, str]],
    start_program: Callable[..., subprocess.Popen[str]],
) -> None:
    sim = simulator(titles=20, rate=0)
    assert batch(sim, "initial-sync", "--count", "5").code == 0
    sim.reset()
    sim.fail("hang", count=None)
    process = start_program("batch", "chapter-feed", "--json", env=environment(sim))
    wait_until(lambda: sim.stats()["total"] >= 1)
    began = time.monotonic()
    process.terminate()
    _, stderr = process.communicate(timeout=20)
    sim.heal()
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in stderr


def test_a_worker_that_is_killed_costs_nothing(
    simulator: Simulators,
    environment: Callable[..., dict[str, str]],
    start_program: Callable[..., subprocess.Popen[str]],
    connection: sql.Connection,
) -> None:
    sim = simulator(titles=2000, rate=0, latency_s=0.1)
    env = environment(sim, RATE_PER_SECOND="20", WORKERS="3")
    process = start_program("batch", "initial-sync", "--count", "1000", "--json", env=env)
    wait_until(lambda: count(connection, "sync_pages") >= 2)
    os.kill(worker_pids(process.pid)[-1], signal.SIGKILL)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert "A worker died name=worker-" in stderr
    assert count(connection) == 1000


def worker_pids(parent: int) -> list[int]:
    """The program's children; the first is the Manager."""
    with open(f"/proc/{parent}/task/{parent}/children") as listing:
        return [int(pid) for pid in listing.read().split()]


def test_of_two_runs_at_once_the_second_is_to_try_again_later(
    simulator: Simulators,
    batch: Batch,
    environment: Callable[..., dict[str, str]],
    start_program: Callable[..., subprocess.Popen[str]],
    connection: sql.Connection,
) -> None:
    sim = simulator(titles=3000, rate=0)
    env = environment(sim, RATE_PER_SECOND="1")
    first = start_program("batch", "initial-sync", "--count", "3000", env=env)
    running = "SELECT status FROM sync_state WHERE sync_type = 'initial_sync'"
    wait_until(lambda: rows(connection, running)[0][0] == "running")
    began = time.monotonic()
    second = batch(sim, "initial-sync", "--json")
    assert time.monotonic() - began < 10
    assert second.code == 75
    assert second.json["error"] == "another run of initial-sync is under way on this database"
    assert len(second.stderr.splitlines()) == 1
    first.terminate()
    assert first.wait(15) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("title_number_where_text", "is a number, not text"),
        ("title_1mb", "characters, at most 2,000 are allowed"),
        ("title_without_id", "an entity with the id None"),
    ],
)
def test_a_title_that_cannot_be_used_is_recorded_and_retried_and_costs_no_other(
    simulator: Simulators, batch: Batch, connection: sql.Connection, mode: str, reason: str
) -> None:
    sim = simulator(titles=300, rate=0)
    sim.fail(mode, count=1, position=3)
    done = batch(sim, "initial-sync", "--count", "100", "--json")
    assert done.code == 0, done.stderr
    assert done.json["failed"] == 1
    refused = rejected(connection)
    assert len(refused) == 1
    assert reason in f"{next(iter(refused))} {next(iter(refused.values()))['reason']}"
    assert reason in batch(sim, "status").stdout or "None" in reason
    with_id = mode != "title_without_id"
    assert count(connection) == (99 if with_id else 100)
    again = batch(sim, "initial-sync", "--count", "100", "--json")
    if with_id:
        assert (again.json["manga_new"], again.json["requests"]) == (1, 1)
        assert rejected(connection) == {}
        assert count(connection) == 100


@pytest.mark.parametrize("mode", ["title_nul", "same_title_twice"])
def test_oddities_that_can_be_stored_are(
    simulator: Simulators, batch: Batch, connection: sql.Connection, mode: str
) -> None:
    sim = simulator(titles=300, rate=0)
    sim.fail(mode, count=1, position=3)
    done = batch(sim, "initial-sync", "--count", "100", "--json")
    assert done.code == 0, done.stderr
    assert count(connection) == 100
    assert rejected(connection) == {}


@pytest.mark.parametrize(
    "mode",
    [
        "429_epoch",
        "429_retry_after",
        "429_bare",
        "400_html_overload",
        "500",
        "502_html",
        "503",
        "html_200",
        "cut",
        "empty_body",
        "empty_array",
        "not_json",
        "reset",
    ],
)
def test_a_fault_that_passes_is_got_over(
    simulator: Simulators, batch: Batch, connection: sql.Connection, mode: str
) -> None:
    sim = simulator(titles=200, rate=0)
    sim.fail(mode, count=1)
    done = batch(sim, "initial-sync", "--count", "100", "--json")
    assert done.code == 0, done.stderr
    assert done.json["requests"] == 2
    assert count(connection) == 100
    assert "Traceback" not in done.stderr
    assert "A request will be repeated" in done.stderr


def test_a_source_that_is_down_ends_the_run_with_75_and_is_probed_by_the_next(
    simulator: Simulators, batch: Batch
) -> None:
    sim = simulator(titles=200, rate=0)
    sim.down()
    done = batch(sim, "initial-sync", "--count", "100", "--json")
    assert done.code == 75
    assert "after 5 tries: GET /manga" in done.json["error"]
    assert done.json["status"] == "error"
    assert "Traceback" not in done.stderr
    again = batch(sim, "initial-sync", "--count", "100", "--json")
    assert again.code == 75
    assert "the source still fails" in again.json["error"]
    assert again.json["requests"] == 1
    assert "source: trouble: " in batch(sim, "status").stdout
    sim.up()
    done = batch(sim, "initial-sync", "--count", "100", "--json")
    assert (done.code, done.json["requests"]) == (0, 2)
    done = batch(sim, "initial-sync", "--count", "100", "--json", "--force")
    assert done.json["requests"] == 1


def test_a_source_that_goes_down_half_way_costs_only_time(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=2000, rate=0)
    sim.fail("500", count=None, skip=6)
    done = batch(sim, "initial-sync", "--count", "1000", "--json")
    assert done.code == 75, done.stderr
    assert done.json["manga_seen"] == count(connection) == 600
    query = "SELECT status, error_message FROM sync_state WHERE sync_type = 'initial_sync'"
    assert rows(connection, query)[0][0] == "error"
    # The circuit opens: ten workers do not try five times each.
    assert sim.stats()["total"] < 25
    sim.heal()
    sim.reset()
    done = batch(sim, "initial-sync", "--count", "1000", "--json")
    assert done.code == 0, done.stderr
    assert count(connection) == 1000
    assert sim.stats()["total"] == 1 + 4  # the first one is a probe


def test_a_ban_stops_everything_for_a_long_and_growing_time(
    simulator: Simulators, batch: Batch, connection: sql.Connection, database_url: str
) -> None:
    sim = simulator(titles=2000, rate=0)
    sim.fail("403_html_ban", count=None)
    done = batch(sim, "initial-sync", "--json")
    assert done.code == 75
    assert "banned" in done.json["error"]
    assert "THE SOURCE HAS BANNED THIS ADDRESS" in done.stderr
    asked = sim.stats()["total"]
    assert asked <= 2
    for command in ("initial-sync", "new-manga-poll", "chapter-feed"):
        done = batch(sim, command, "--json")
        assert done.code == 75
        assert "no request before" in done.json["error"]
    assert sim.stats()["total"] == asked
    end_ban(connection, database_url)
    done = batch(sim, "initial-sync", "--json")
    assert done.code == 75
    query = "SELECT value->'bans', (value->>'until')::timestamptz - now() > '15 min' FROM"
    assert rows(connection, f"{query} mangahub_meta WHERE key = 'source'") == [(2, True)]


def end_ban(connection: sql.Connection, database_url: str) -> None:
    """Make it as if its time were over."""
    connection.execute(
        "UPDATE mangahub_meta SET value = value || jsonb_build_object('until', now())"
        " WHERE key = 'source'"
    )
    forget_budget(database_url)


@pytest.mark.calm
def test_never_more_than_five_requests_reach_the_source_in_any_second(
    simulator: Simulators, batch: Batch, connection: sql.Connection
) -> None:
    sim = simulator(titles=2000, rate=0, latency_s=0.05)
    done = batch(sim, "initial-sync", "--count", "1500", "--json", RATE_PER_SECOND="5")
    assert done.code == 0, done.stderr
    assert sim.stats()["by_status"] == {"200": 15}
    assert most_within(sim.stats()["arrivals"], A_SECOND_S) <= 5
    assert count(connection) == 1500


@pytest.mark.calm
def test_two_runs_over_one_database_share_one_budget(
    simulator: Simulators,
    environment: Callable[..., dict[str, str]],
    start_program: Callable[..., subprocess.Popen[str]],
    connection: sql.Connection,
) -> None:
    sim = simulator(titles=2000, rate=0)
    for mangadex_id in sim.title_ids(first=1000, count=800):
        connection.execute(
            "INSERT INTO manga (slug, title, mangadex_id) VALUES (%s, %s, %s)",
            [mangadex_id, "Not synced yet", mangadex_id],
        )
    env = environment(sim, RATE_PER_SECOND="5")
    runs = [
        start_program("batch", *job, env=env)
        for job in (("initial-sync", "--count", "800"), ("metadata-refresh",))
    ]
    for run in runs:
        _, stderr = run.communicate(timeout=60)
        assert run.returncode == 0, stderr
    stats = sim.stats()
    assert stats["by_status"] == {"200": 16}
    assert most_within(stats["arrivals"], A_SECOND_S) <= 5
