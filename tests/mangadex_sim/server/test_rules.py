"""The rate rule: pure, then on the wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from mangadex_sim.server.request_counts import most_within
from mangadex_sim.server.rules import Decision, RateRule
from mangadex_sim.settings import Settings
from tests.mangadex_sim.conftest import Asker

Make = Callable[..., Asker]
OK, MANY, BAN = Decision.ALLOWED, Decision.TOO_MANY, Decision.BANNED

CASES: dict[str, tuple[dict[str, float], list[float], list[Decision]]] = {
    "five at once, then no more": ({}, [0, 0, 0, 0, 0, 0], [OK] * 5 + [MANY]),
    "evenly paced for ever": ({}, [n / 5 for n in range(40)], [OK] * 40),
    "a little too fast": ({}, [0, 0.19, 0.38, 0.57, 0.76, 0.95, 1.0], [OK] * 5 + [MANY, OK]),
    "the window slides": ({}, [0, 0.9, 0.9, 0.9, 0.9, 1.0, 1.1], [OK] * 6 + [MANY]),
    "refusals do not fill the window": (
        {},
        [0] * 5 + [0.1, 0.2, 0.3, 1.0],
        [OK] * 5 + [MANY] * 3 + [OK],
    ),
    "insistence is a ban": (
        {"ban_after": 2},
        [0] * 5 + [0.1, 0.2, 0.3, 2.0],
        [OK] * 5 + [MANY] * 2 + [BAN, BAN],
    ),
    "a ban ends": ({"ban_after": 0, "ban_s": 3}, [0] * 5 + [0.1, 3.2], [OK] * 5 + [BAN, OK]),
    "every request renews a ban": (
        {"ban_after": 0, "ban_s": 3},
        [0] * 5 + [0.1, 3, 5.9, 9],
        [OK] * 5 + [BAN, BAN, BAN, OK],
    ),
    "old refusals are forgiven": (
        {"ban_after": 1, "ban_within_s": 1},
        [0.0] * 6 + [2.0] * 6,
        ([OK] * 5 + [MANY]) * 2,
    ),
    "no rule": ({"rate": 0}, [0.0] * 50, [OK] * 50),
    "another rate": ({"rate": 1}, [0, 0.5, 1, 1.5], [OK, MANY, OK, MANY]),
    "another window": ({"window_s": 0.1}, [0] * 6 + [0.1], [OK] * 5 + [MANY, OK]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule_judges(case: str) -> None:
    changes, arrivals, expected = CASES[case]
    rule, settings = RateRule(), Settings(**changes)  # type: ignore[arg-type]
    assert [rule.judge(100 + each, settings).outcome for each in arrivals] == expected


def test_waiting_as_long_as_asked_is_enough() -> None:
    rule, settings = RateRule(), Settings()
    for each in (0, 0.1, 0.2, 0.3, 0.4):
        rule.judge(each, settings)
    verdict = rule.judge(0.5, settings)
    assert rule.judge(0.5 + verdict.wait_s, settings).outcome is OK


@pytest.mark.parametrize(
    ("instants", "most"),
    [([], 0), ([5.0], 1), ([0, 0.5, 1.0], 2), ([0, 0.5, 0.999], 3), ([0, 1, 2, 3], 1)],
)
def test_the_most_within_a_second_is_counted(instants: list[float], most: int) -> None:
    assert most_within(instants, 1.0) == most


def burst(asker: Asker, count: int) -> list[int]:
    return [asker.get("/ping").status_code for _ in range(count)]


def test_the_sixth_request_in_a_second_is_refused_with_the_time_to_wait(make_sim: Make) -> None:
    asker = make_sim(rate=5)
    assert burst(asker, 5) == [200] * 5
    refused = asker.get("/ping")
    assert refused.status_code == 429
    wait_s = int(refused.headers["X-RateLimit-Retry-After"]) - time.time()
    assert 0 < wait_s <= 2
    assert refused.json()["errors"][0]["status"] == 429


RETRIES = {
    "seconds": "Retry-After",
    "none": None,
    "epoch": "X-RateLimit-Retry-After",
    "epoch_past": "X-RateLimit-Retry-After",
}


@pytest.mark.parametrize("kind", RETRIES)
def test_a_429_tells_to_wait_in_the_ordered_way(kind: str, make_sim: Make) -> None:
    asker = make_sim(rate=1, retry_header=kind)
    asker.get("/ping")
    headers = asker.get("/ping").headers
    told = {name for name in RETRIES.values() if name and name in headers}
    assert told == {RETRIES[kind]} - {None}
    if kind == "epoch_past":
        assert int(headers["X-RateLimit-Retry-After"]) < time.time()


def test_mixed_429s_come_with_and_without_a_time(make_sim: Make) -> None:
    asker = make_sim(rate=1, retry_header="mixed")
    asker.get("/ping")
    told = ["X-RateLimit-Retry-After" in asker.get("/ping").headers for _ in range(4)]
    assert told == [True, False, True, False]


def test_insistence_gets_a_ban_that_is_not_json(make_sim: Make) -> None:
    asker = make_sim(rate=5, ban_after=3)
    assert burst(asker, 10) == [200] * 5 + [429] * 3 + [403] * 2
    banned = asker.get("/manga")
    assert banned.status_code == 403
    assert banned.headers["Content-Type"].startswith("text/html")
    asker.sim.reset()
    assert burst(asker, 1) == [200]


def test_everything_shares_one_window(make_sim: Make) -> None:
    asker = make_sim(rate=2)
    assert asker.get("/manga?foo=1").status_code == 400
    assert asker.get("/nowhere").status_code == 404
    assert asker.get("/ping").status_code == 429


def test_the_rate_can_change_while_running(make_sim: Make) -> None:
    asker = make_sim(rate=1)
    assert burst(asker, 2) == [200, 429]
    asker.sim.change_settings(rate=0)
    assert burst(asker, 20) == [200] * 20


def test_many_connections_share_one_window_and_are_counted(make_sim: Make) -> None:
    asker = make_sim(rate=5, ban_after=1_000, latency_s=0.05)
    statuses: list[int] = []
    start = threading.Barrier(12)

    def ask() -> None:
        other = Asker(asker.sim)
        start.wait(5)
        statuses.append(other.get("/ping").status_code)
        other.session.close()

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(statuses) == [200] * 5 + [429] * 7
    stats = asker.sim.stats()
    assert stats["total"] == stats["max_in_a_second"] == 12
    assert stats["max_in_flight"] > 1 and stats["in_flight"] == 0
    assert stats["by_status"] == {"200": 5, "429": 7}


def test_latency_counts_from_the_arrival(make_sim: Make) -> None:
    asker = make_sim(latency_s=0.5)
    asker.get("/ping")
    started = time.monotonic()
    asker.get("/manga?limit=100")
    assert 0.5 <= time.monotonic() - started < 5
    asker.sim.slow(0)
    started = time.monotonic()
    asker.get("/ping")
    assert time.monotonic() - started < 0.5
