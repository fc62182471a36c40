"""One budget of requests for all that use the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

import sql
from sql import budget as module
from sql.budget import (
    LEAST_SPACING,
    MAX_AHEAD_S,
    MAX_FAILURES,
    TOLERANCE_S,
    Budget,
    Pace,
    source_key,
)
from sql.errors import PausedForLong
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

URL = "http://127.0.0.1:1"


def make_budget(connection: sql.Connection, pace: Pace = Pace(50), url: str = URL) -> Budget:  # noqa: B008
    return Budget(lambda: connection, url, pace)


def depart(budget: Budget, times: int, sleep: Callable[[float], None] = time.sleep) -> list[float]:
    """Return when requests could leave, in monotonic seconds."""
    moments = []
    for _ in range(times):
        with budget.departure(sleep):
            moments.append(time.monotonic())
    return moments


@pytest.mark.calm
def test_departures_keep_their_distance_over_all_connections(database_url: str) -> None:
    moments: list[float] = []

    def call() -> None:
        with sql.connect(database_url) as connection:
            moments.extend(depart(make_budget(connection), 10))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    moments.sort()
    assert len(moments) == 40
    spans = [later - earlier for earlier, later in zip(moments, moments[16:], strict=False)]
    assert min(spans) > 16 / 50


def test_another_source_has_another_budget(connection: sql.Connection) -> None:
    depart(make_budget(connection, Pace(0.1)), 1)
    began = time.monotonic()
    depart(make_budget(connection, Pace(0.1), "http://127.0.0.1:2"), 1)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://api.mangadex.org", "api.mangadex.org:443"),
        ("https://API.mangadex.org:443/", "api.mangadex.org:443"),
        ("http://127.0.0.1:8099", "127.0.0.1:8099"),
        ("http://host/a/b/", "host:80/a/b"),
    ],
)
def test_a_source_is_the_same_however_its_url_is_written(url: str, key: str) -> None:
    assert source_key(url) == key


@pytest.mark.slow
def test_a_burst_goes_at_once_and_then_at_the_rate(connection: sql.Connection) -> None:
    budget = make_budget(connection, Pace(per_second=2, burst=5))
    moments = depart(budget, 7)
    assert moments[4] - moments[0] < 1.5
    assert moments[6] - moments[0] > 0.8


def test_who_wakes_up_much_too_late_reserves_anew(connection: sql.Connection) -> None:
    budget = make_budget(connection, Pace(5))
    depart(budget, 1)
    overslept = iter([0.5])
    depart(budget, 1, lambda seconds: time.sleep(seconds + next(overslept, 0)))
    row = connection.execute("SELECT departures[16] - departures[15] FROM api_budget").fetchone()
    assert row is not None
    assert row[0].total_seconds() > 0.3, "the departure that was missed is given back"


@pytest.mark.slow
def test_who_leaves_late_moves_those_that_would_come_too_close(
    connection: sql.Connection, database_url: str
) -> None:
    """Of five in a second the first leaves late: the sixth, reserved before that, waits longer."""
    with make_budget(connection, Pace(5)).departure(time.sleep):
        others = [threading.Thread(target=depart_on, args=(database_url,)) for _ in range(5)]
        for other in others:
            other.start()
        wait_until(lambda: reserved(database_url) == 6)
        time.sleep(0.3)  # what being late is
        left = time.monotonic()
    for other in others:
        other.join(10)
    assert time.monotonic() - left > 1


def test_who_would_come_a_little_too_close_waits_longer_and_keeps_the_departure(
    connection: sql.Connection, database_url: str
) -> None:
    connection.execute(
        "INSERT INTO api_budget (source, departures) VALUES (%s,"
        " array_fill(clock_timestamp() - interval '0.2 s', ARRAY[16]))",
        [source_key(URL)],
    )
    corrections = iter([0.06])

    def sleep(seconds: float) -> None:
        for late_s in corrections:  # of the fifth last, once ours is reserved
            with sql.connect(database_url) as other:
                other.execute(
                    "UPDATE api_budget SET departures[11] = departures[11] + %s * interval '1 s'",
                    [late_s],
                )
        time.sleep(seconds)

    depart(make_budget(connection, Pace(5)), 1, sleep)
    row = connection.execute(
        "SELECT departures[16] - departures[11], '-infinity' = ANY (departures) FROM api_budget"
    ).fetchone()
    assert row is not None
    assert row[0].total_seconds() > LEAST_SPACING
    assert not row[1], "nothing was given back"


def depart_on(database_url: str) -> None:
    with sql.connect(database_url) as connection:
        depart(make_budget(connection, Pace(5)), 1)


def reserved(database_url: str) -> int:
    with sql.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM api_budget, unnest(departures) AS at WHERE at > '-infinity'"
        ).fetchone()
        return int(row[0]) if row else 0


@pytest.mark.slow
def test_a_caller_that_was_killed_or_stopped_delays_no_other(database_url: str) -> None:
    """It reserves as fast as it can, and is caught at some moment of it."""
    program = (
        "import sys, time, sql; from sql.budget import Budget, Pace;"
        f"c = sql.connect(sys.argv[1]); b = Budget(lambda: c, {URL!r}, Pace(5));"
        "print('ready', flush=True)\n"
        "while True:\n  with b.departure(time.sleep): pass"
    )
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for moment_s in (0.05, 0.11, 0.23):
            with subprocess.Popen(
                [sys.executable, "-c", program, database_url],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            ) as process:
                try:
                    assert process.stdout is not None
                    assert process.stdout.readline() == "ready\n"
                    time.sleep(moment_s)  # not to order anything: any moment will do
                    os.kill(process.pid, number)
                    with sql.connect(database_url) as connection:
                        began = time.monotonic()
                        depart(make_budget(connection, Pace(5)), 1)
                        assert time.monotonic() - began < 5
                finally:
                    process.kill()


@pytest.mark.slow
def test_no_caller_reserves_further_ahead_than_others_would_wait(
    connection: sql.Connection, database_url: str
) -> None:
    connection.execute(
        "INSERT INTO api_budget (source, departures) VALUES (%s, array_fill(clock_timestamp()"
        " + %s * interval '1 s', ARRAY[16]))",
        [source_key(URL), MAX_AHEAD_S],
    )
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        time.sleep(seconds)

    depart(make_budget(connection, Pace(5)), 1, sleep)
    assert naps[0] <= 0.2 + 0.01
    assert len(naps) > 2


def test_a_clock_that_was_set_back_delays_no_caller(connection: sql.Connection) -> None:
    connection.execute(
        "INSERT INTO api_budget (source, departures)"
        " VALUES (%s, array_fill(now() + interval '3 days', ARRAY[16]))",
        [source_key(URL)],
    )
    began = time.monotonic()
    depart(make_budget(connection), 2)
    assert time.monotonic() - began < 10


def test_a_pause_is_never_longer_than_any_can_be(connection: sql.Connection) -> None:
    connection.execute(
        "INSERT INTO api_budget (source, paused_until) VALUES (%s, now() + interval '3 days')",
        [source_key(URL)],
    )
    with pytest.raises(PausedForLong, match=r"8\d{4} s of it are left"):
        depart(make_budget(connection), 1)


def test_a_pause_holds_up_all_and_a_shorter_one_does_not_end_it(
    connection: sql.Connection, database_url: str
) -> None:
    budget = make_budget(connection)
    budget.pause(0.6)
    budget.pause(0.1)
    began = time.monotonic()
    with sql.connect(database_url) as other:
        depart(make_budget(other), 1)
    assert time.monotonic() - began > 0.55


@pytest.mark.slow
def test_a_pause_that_comes_after_a_reservation_holds_its_caller_up_too(
    connection: sql.Connection, database_url: str
) -> None:
    budget = make_budget(connection, Pace(2))
    depart(budget, 1)
    began = time.monotonic()
    paused: list[bool] = []

    def sleep(seconds: float) -> None:
        if not paused:
            with sql.connect(database_url) as other:
                make_budget(other).pause(1.2)
            paused.append(True)
        time.sleep(seconds)

    depart(budget, 1, sleep)
    assert time.monotonic() - began > 1.15


def test_a_long_pause_is_reported_and_not_waited_for(connection: sql.Connection) -> None:
    budget = make_budget(connection)
    budget.pause(600)

    def sleep(seconds: float) -> None:
        pytest.fail(f"waited for {seconds} s")

    for wait in (lambda: depart(budget, 1, sleep), lambda: budget.await_pause_end(sleep)):
        with pytest.raises(PausedForLong, match=r"[56]\d\d s of it are left"):
            wait()


def test_failures_in_a_row_open_the_circuit_for_all_until_a_probe_succeeds(
    connection: sql.Connection, database_url: str
) -> None:
    budget = make_budget(connection)
    for _ in range(MAX_FAILURES - 1):
        budget.count_failure()
    budget.count_success()
    assert budget.read().failures == 0
    for _ in range(MAX_FAILURES):
        budget.count_failure()
    with sql.connect(database_url) as other:
        assert make_budget(other).read().is_open
    budget.allow_probe()
    assert not budget.read().is_open
    budget.count_failure()
    assert budget.read().is_open


def test_the_wait_can_be_ended(connection: sql.Connection) -> None:
    budget = make_budget(connection, Pace(1))
    depart(budget, 1)

    def interrupt(_: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        depart(budget, 1, interrupt)


def test_the_clocks_of_database_and_host_need_not_agree() -> None:
    clock = module._DatabaseClock()
    clock.learn(10.0, 10.2, moment(5_000.1))
    assert span(clock, 5_000.5) == pytest.approx((10.4, 10.6))
    clock.learn(20.0, 21.0, moment(5_010.9))  # vaguer, and no contradiction
    assert span(clock, 5_000.5) == pytest.approx((10.4, 10.6))
    clock.learn(20.0, 21.0, moment(5_011.0))  # the answer had all of the way
    assert span(clock, 5_000.5) == pytest.approx((10.4, 10.5))
    clock.learn(30.0, 31.0, moment(9_000.5))  # the database's clock was set
    assert span(clock, 9_000.5) == pytest.approx((30.0, 31.0))


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def span(clock: module._DatabaseClock, seconds: float) -> tuple[float, float]:
    return clock.earliest_s(moment(seconds)), clock.latest_s(moment(seconds))


def test_where_the_database_is_far_away_it_is_asked_earlier(connection: sql.Connection) -> None:
    """Each statement takes longer than a request may be late."""

    def connect() -> sql.Connection:
        time.sleep(TOLERANCE_S * 1.5)
        return connection

    budget = Budget(connect, URL, Pace(5))
    began = time.monotonic()
    depart(budget, 2)
    assert time.monotonic() - began < 3


def test_without_a_database_nothing_may_be_asked(database_url: str, admin: sql.Connection) -> None:
    with sql.connect(database_url) as connection:
        budget = make_budget(connection)
        depart(budget, 1)
        admin.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(sql.DatabaseDown):
            depart(budget, 1)
