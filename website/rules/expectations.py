"""A prediction in few words, and as other programs get it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from website.rules.prediction import Prediction

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NEAR = {0: "today", 1: "tomorrow"}


def describe_next(found: Prediction, today: date) -> str:
    """Return such as `Thu`, `Sat–Tue`, `3–9 December` or `5 days late`."""
    if found.expected is None or found.start is None or found.end is None:
        return "not predicted"
    if found.state == "late":
        return f"{_count((today - found.end).days)} late"
    if found.state == "hiatus":
        return "probably on hiatus"
    if found.state == "likely":
        return short_day(found.expected, today)
    return f"{short_day(found.start, today)}–{short_day(found.end, today)}"


def describe_range(found: Prediction) -> str:
    """Return such as `3 December`, or `3 December to 9 December`: true whenever it is read."""
    if found.start is None or found.end is None:
        return "on no day that can be said"
    days = dict.fromkeys((found.start, found.end))
    return " to ".join(f"{day.day} {day:%B}" for day in days)


def short_day(day: date, today: date) -> str:
    """Return `today`, `Thu` within a week, else `3 Dec`, with the year where it is another one."""
    ahead = (day - today).days
    if ahead in _NEAR:
        return _NEAR[ahead]
    if 1 < ahead < 7:
        return _DAYS[day.weekday()]
    return f"{day.day} {day:%b}" + ("" if day.year == today.year else f" {day.year}")


def _count(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def as_json(found: Prediction) -> Mapping[str, str | None]:
    """Return the object that other programs get."""
    return {
        "expected": _iso(found.expected),
        "from": _iso(found.start),
        "to": _iso(found.end),
        "state": found.state,
        "why": found.why,
    }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
