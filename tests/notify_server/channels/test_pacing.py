"""When a channel is sent what: tables."""

from __future__ import annotations

from datetime import timedelta

import pytest

from notify_server.channels.pacing import (
    MOST_IN_BUNDLE,
    Lanes,
    choose,
    next_attempt,
    size_of_message,
)
from readers.channels.messages import Due
from tests.notify_server.channels.conftest import NOW

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("failures", "wait_s"),
    [(1, 30), (2, 60), (3, 120), (9, 7_680), (10, 15_360), (11, 21_600), (12, 21_600),
     (10_000, 21_600)],
)  # fmt: skip
def test_waits_double_from_half_a_minute_to_six_hours(failures: int, wait_s: int) -> None:
    assert next_attempt(failures, NOW, None, NOW) == NOW + wait_s * SECOND


@pytest.mark.parametrize(
    ("failures", "asked_s", "wait_s"),
    [(1, 5, 5), (1, 0, 1), (1, 0.3, 1), (1, 90, 90), (5, 40_000, 40_000), (1, 1e8, 259_200),
     (11, 1, 21_600), (11, 30_000, 30_000)],
)  # fmt: skip
def test_what_the_server_asks_for_comes_first(failures: int, asked_s: float, wait_s: int) -> None:
    assert next_attempt(failures, NOW, asked_s, NOW) == NOW + wait_s * SECOND


@pytest.mark.parametrize(("hours", "is_paused"), [(0, False), (71.9, False), (72, True)])
def test_after_three_days_of_failures_it_is_paused(hours: float, is_paused: bool) -> None:
    assert (next_attempt(20, NOW - hours * HOUR, None, NOW) is None) == is_paused


@pytest.mark.parametrize(
    ("waits_s", "is_digest", "size"),
    [(1, False, 1), (120, False, 1), (121, False, MOST_IN_BUNDLE), (1, True, MOST_IN_BUNDLE),
     (None, False, 0)],
)  # fmt: skip
def test_what_has_waited_goes_as_one_message(
    waits_s: int | None, is_digest: bool, size: int
) -> None:
    since = None if waits_s is None else NOW - waits_s * SECOND
    assert size_of_message(Due(1, "x", 0, is_digest, since), NOW) == size


def due(id: int, server: str = "", attempts: int = 0) -> Due:
    return Due(id, server or f"s{id}", attempts, False, NOW)


def test_no_more_are_chosen_than_there_is_room_for() -> None:
    found = choose([due(n) for n in range(20)], [due(100), due(101)], Lanes(8))
    assert [each.channel_id for each in found] == [0, 1, 2, 3, 4, 5]


def test_one_server_takes_no_more_than_half() -> None:
    found = choose([due(n, "slow") for n in range(9)] + [due(9)], [due(99, "slow")], Lanes(8))
    assert [each.channel_id for each in found] == [0, 1, 2, 9]


def test_what_failed_takes_no_more_than_a_quarter() -> None:
    found = choose([due(n, attempts=3) for n in range(9)] + [due(9)], [], Lanes(8))
    assert [each.channel_id for each in found] == [0, 1, 9]


def test_a_single_process_serves_everything_in_turn() -> None:
    assert choose([due(1, "x", 5)], [], Lanes(1)) == [due(1, "x", 5)]
