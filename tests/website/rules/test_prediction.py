"""When the next chapter may be expected: a table of habits, and what holds for all."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from website.rules.prediction import Prediction, predict

THURSDAY = date(2026, 11, 26)
DAY = timedelta(days=1)


def before(last: date, *gaps: int) -> list[date]:
    """Return release days that end with `last`; gaps in days, the newest last."""
    days = [last]
    for gap in reversed(gaps):
        days.insert(0, days[0] - gap * DAY)
    return days


def shown(found: Prediction) -> tuple[str, int | None, int | None, int | None]:
    """The state, and expected day, start and end in days after THURSDAY."""
    expected, start, end = (
        (day - THURSDAY).days if day else None for day in (found.expected, found.start, found.end)
    )
    return found.state, expected, start, end


WEEKLY = [7] * 8


@pytest.mark.parametrize(
    ("gaps", "today", "expected"),
    [
        pytest.param(WEEKLY, 1, ("likely", 7, 7, 7), id="weekly"),
        pytest.param([7] * 3, 1, ("likely", 7, 7, 7), id="three gaps are enough"),
        pytest.param([7, 7, 7, 8, 6, 7, 7, 7], 1, ("likely", 7, 6, 8), id="once a day late"),
        pytest.param([7, 7, 7, 7, 7, 7, 14, 7], 1, ("maybe", 7, 7, 14), id="once left out"),
        pytest.param([1] * 12, 0, ("likely", 1, 1, 1), id="daily"),
        pytest.param([30, 31, 30, 31, 31, 28], 3, ("maybe", 30, 28, 31), id="monthly"),
        pytest.param([3, 40, 5, 90, 2, 30], 1, ("irregular", 5, 2, 90), id="any time"),
        pytest.param([6, 8, 6, 8, 6, 8, 6, 8], 1, ("likely", 6, 6, 8), id="no usual weekday"),
        pytest.param(WEEKLY, 7, ("likely", 7, 7, 7), id="on the day"),
        pytest.param(WEEKLY, 8, ("late", 7, 7, 7), id="a day after"),
        pytest.param([7, 7, 7, 7, 7, 7, 14, 7], 9, ("maybe", 9, 9, 14), id="within the range"),
        pytest.param(WEEKLY, 60, ("late", 7, 7, 7), id="60 days of silence"),
        pytest.param(WEEKLY, 61, ("hiatus", 7, 7, 7), id="more than 60"),
        pytest.param([30] * 6, 150, ("late", 30, 30, 30), id="five times the gap"),
        pytest.param([30] * 6, 151, ("hiatus", 30, 30, 30), id="more than five times"),
        pytest.param([7, 7], 1, ("unknown", None, None, None), id="two gaps"),
    ],
)
def test_habits(
    gaps: list[int], today: int, expected: tuple[str, int | None, int | None, int | None]
) -> None:
    assert shown(predict(before(THURSDAY, *gaps), "ongoing", THURSDAY + today * DAY)) == expected


@pytest.mark.parametrize(
    ("gaps", "why"),
    [
        (WEEKLY, "weekly on Thursday, 8 of 8"),
        ([7, 7, 7, 8, 6, 7, 7, 7], "weekly on Thursday, 7 of 8"),
        ([6, 8, 6, 9, 6, 8, 6, 9], "weekly, 4 of 8"),
        ([1] * 4, "daily, 4 of 4"),
        ([30, 31, 30, 31, 31, 28], "monthly, 5 of 6"),
        ([14] * 5, "every two weeks on Thursday, 6 of 6"),
        ([10, 10, 11, 10], "every 10 days, 4 of 4"),
        ([7, 7], "3 releases were seen, 4 are needed"),
    ],
)
def test_it_says_why(gaps: list[int], why: str) -> None:
    assert predict(before(THURSDAY, *gaps), None, THURSDAY + DAY).why == why


@pytest.mark.parametrize(
    ("days", "status", "state", "why"),
    [
        ([], None, "unknown", "no release was seen yet, 4 are needed"),
        ([THURSDAY], None, "unknown", "one release was seen, 4 are needed"),
        (before(THURSDAY, *WEEKLY), "completed", "unknown", "the series is completed"),
        (before(THURSDAY, *WEEKLY), "cancelled", "unknown", "the series is cancelled"),
        (before(THURSDAY - 20 * DAY, *WEEKLY), "hiatus", "hiatus", "on hiatus, says the source"),
        (before(THURSDAY, *WEEKLY), "hiatus", "likely", "weekly on Thursday, 8 of 8"),
    ],
)
def test_the_status_counts(days: list[date], status: str | None, state: str, why: str) -> None:
    found = predict(days, status, THURSDAY)
    assert (found.state, found.why) == (state, why)


@given(
    st.lists(st.integers(1, 400), min_size=3, max_size=12),
    st.integers(0, 3000),
    st.sampled_from([None, "ongoing", "hiatus"]),
)
def test_the_expected_day_lies_in_the_range_after_the_last_one(
    gaps: list[int], today: int, status: str | None
) -> None:
    days = before(THURSDAY, *gaps)
    found = predict(days, status, THURSDAY + today * DAY)
    assert found.start and found.expected and found.end
    assert days[-1] < found.start <= found.expected <= found.end
    if found.state in ("likely", "maybe", "irregular"):
        assert found.start >= THURSDAY + today * DAY or found.start > days[-1]


@given(st.lists(st.dates(), min_size=4, max_size=13, unique=True), st.dates())
def test_any_days_give_an_answer(days: list[date], today: date) -> None:
    try:
        found = predict(sorted(days), "ongoing", today)
    except OverflowError:
        assert max(days).year > 2000  # beyond the year 9999
        return
    assert found.why
