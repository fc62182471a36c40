"""When a title's next chapter may be expected, from the days on which chapters came. Pure.

The lower median of the last 8 gaps between release days is added to the last one, and the day moved
to the weekday on which most came, if that is within a day. The range is from the 10 % to the 90 %
quantile of the last 12 gaps, newer ones counting more. docs/prediction.md says how well that does.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

State = Literal["likely", "maybe", "irregular", "late", "hiatus", "unknown"]

LEAST_GAPS = 3
_MEDIAN_OF, _RANGE_OF = 8, 12
_LEAST_FOR_WEEKDAYS = timedelta(days=5)
_LIKELY_DAYS = 3  # the most days that a range has which is called likely
_IRREGULAR = timedelta(days=28)
_HIATUS = timedelta(days=60)
_DAY = timedelta(days=1)
_ENDED = ("completed", "cancelled")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CADENCES = {
    range(1, 2): "daily",
    range(6, 9): "weekly",
    range(13, 16): "every two weeks",
    range(28, 32): "monthly",
}


@dataclass(frozen=True, slots=True)
class Prediction:
    """When the next chapter may come.

    Attributes:
        expected, start, end: the likeliest day, and the first and last one of the range; None where
            nothing can be said.
        why: what that rests on, such as `weekly on Thursday, 7 of 8`.
    """

    state: State
    why: str
    expected: date | None = None
    start: date | None = None
    end: date | None = None


def predict(days: Sequence[date], status: str | None, today: date) -> Prediction:
    """Return when the next chapter may be expected.

    Args:
        days: distinct release days in one language, ascending; the last 13 suffice.
        status: of the title at the source.
    """
    if status in _ENDED:
        return Prediction("unknown", f"the series is {status}")
    gaps = [later - earlier for earlier, later in itertools.pairwise(days)]
    if len(gaps) < LEAST_GAPS:
        return Prediction("unknown", _too_few(len(days)))
    found = _reckon(days, gaps)
    return _as_of(found, days[-1], _typical(gaps), status, today)


def _too_few(count: int) -> str:
    seen = {0: "no release was seen yet", 1: "one release was seen"}
    return f"{seen.get(count, f'{count} releases were seen')}, {LEAST_GAPS + 1} are needed"


def _typical(gaps: Sequence[timedelta]) -> timedelta:
    """Return the lower median of the last gaps."""
    newest = sorted(gaps[-_MEDIAN_OF:])
    return newest[(len(newest) - 1) // 2]


def _reckon(days: Sequence[date], gaps: Sequence[timedelta]) -> Prediction:
    """Return the prediction as of the last release."""
    typical, last = _typical(gaps), days[-1]
    weekday = _usual_weekday(days) if typical >= _LEAST_FOR_WEEKDAYS else None
    expected = _moved(last + typical, weekday)
    low, high = _quantile(gaps, 0.1), _quantile(gaps, 0.9)
    start, end = min(last + low, expected), max(last + high, expected)
    state: State = "maybe"
    if (end - start).days < _LIKELY_DAYS:
        state = "likely"
    elif end - start > min(_IRREGULAR, 2 * typical):
        state = "irregular"
    return Prediction(state, _reason(days, gaps, typical, weekday), expected, start, end)


def _usual_weekday(days: Sequence[date]) -> int | None:
    """Return the weekday of more than half of the last releases, None without one."""
    newest = days[-_MEDIAN_OF:]
    weekday, count = Counter(day.weekday() for day in newest).most_common(1)[0]
    return weekday if 2 * count > len(newest) else None


def _moved(day: date, weekday: int | None) -> date:
    """Return the day of that weekday within a day of this one, else this one."""
    for near in (day, day - _DAY, day + _DAY):
        if near.weekday() == weekday:
            return near
    return day


def _quantile(gaps: Sequence[timedelta], share: float) -> timedelta:
    """Return the gap that this share of the last ones does not exceed; the newest weighs most."""
    newest = gaps[-_RANGE_OF:]
    weighted = sorted((gap, weight) for weight, gap in enumerate(newest, 1))
    wanted, seen = share * sum(range(1, len(newest) + 1)), 0
    for gap, weight in weighted:
        seen += weight
        if seen >= wanted:
            return gap
    return weighted[-1][0]


def _as_of(
    found: Prediction, last: date, typical: timedelta, status: str | None, today: date
) -> Prediction:
    """Return what is left of a prediction today."""
    assert found.expected and found.start and found.end  # `_reckon` makes none without
    if today - last > max(5 * typical, _HIATUS):
        quiet = f"{found.why}; nothing for {(today - last).days} days"
        return replace(found, state="hiatus", why=quiet)
    if today > found.end:
        if status == "hiatus":
            return replace(found, state="hiatus", why="on hiatus, says the source")
        return replace(found, state="late")
    # What has passed of the range without a release is no day of the next one.
    return replace(found, expected=max(found.expected, today), start=max(found.start, today))


def _reason(
    days: Sequence[date], gaps: Sequence[timedelta], typical: timedelta, weekday: int | None
) -> str:
    newest = gaps[-_MEDIAN_OF:]
    usual = sum(abs(gap - typical) <= _DAY for gap in newest)
    if weekday is not None:
        of = days[-_MEDIAN_OF:]
        on = sum(day.weekday() == weekday for day in of)
        return f"{_cadence(typical)} on {_WEEKDAYS[weekday]}, {on} of {len(of)}"
    return f"{_cadence(typical)}, {usual} of {len(newest)}"


def _cadence(typical: timedelta) -> str:
    for days, words in _CADENCES.items():
        if typical.days in days:
            return words
    return f"every {typical.days} days"
