"""A month of releases: those that came, and those that may come. Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Generic, Protocol, TypeVar

from website.rules.prediction import Prediction

_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_DATED = ("likely", "maybe", "irregular")


class Predicted(Protocol):
    """A title with its release days and what is expected of it."""

    @property
    def title(self) -> str: ...

    @property
    def days(self) -> Sequence[date]: ...

    @property
    def next(self) -> Prediction: ...


T = TypeVar("T", bound=Predicted)


@dataclass(frozen=True, slots=True)
class Day(Generic[T]):
    """A day of a month's page; one of a neighbouring month only fills its week."""

    day: date
    is_inside: bool
    came: list[T] = field(default_factory=list)
    expected: list[T] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Month(Generic[T]):
    """A month's page.

    Attributes:
        weeks: of seven days each, from Monday on.
        late, hiatus, unknown: titles of which no day can be said.
    """

    first: date
    weeks: list[list[Day[T]]]
    late: list[T]
    hiatus: list[T]
    unknown: list[T]

    @property
    def days(self) -> list[Day[T]]:
        """The days on which something came or may come."""
        inside = (day for week in self.weeks for day in week if day.is_inside)
        return [day for day in inside if day.came or day.expected]


def parse_month(text: str | None, today: date) -> date:
    """Return the first day of a month as `2026-12` names it; that of today for None.

    Raises:
        ValueError: the text names none.
    """
    if text is None:
        return today.replace(day=1)
    match = _MONTH.fullmatch(text)
    if match is None or not _FIRST_YEAR <= int(match[1]) <= _LAST_YEAR:
        raise ValueError("this names no month")
    return date(int(match[1]), int(match[2]), 1)


def neighbours(first: date) -> tuple[date, date]:
    """Return the first days of the month before and the month after."""
    before = (first - timedelta(days=1)).replace(day=1)
    return before, (first + timedelta(days=31)).replace(day=1)


def make_month(first: date, titles: Iterable[T]) -> Month[T]:
    """Return a month's page of these titles, each day's in the order of their names."""
    named = sorted(titles, key=lambda each: each.title.lower())
    weeks: list[list[Day[T]]] = [
        [Day(day, day.month == first.month) for day in week]
        for week in calendar.Calendar().monthdatescalendar(first.year, first.month)
    ]
    by_day = {day.day: day for week in weeks for day in week}
    for each in named:
        for on in each.days:
            if on in by_day:
                by_day[on].came.append(each)
        if each.next.state in _DATED and each.next.expected in by_day:
            by_day[each.next.expected].expected.append(each)
    states = {state: [each for each in named if each.next.state == state] for state in _OTHERS}
    return Month(first, weeks, states["late"], states["hiatus"], states["unknown"])


_OTHERS = ("late", "hiatus", "unknown")
