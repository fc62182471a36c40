"""How long ago something was, in the fewest words. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def describe_age(at: datetime, now: datetime) -> str:
    """Return `now`, `12 min`, `5 h`, `3 days` or, from a month on, the date."""
    age = now - at
    if age < _MINUTE:
        return "now"
    if age < _HOUR:
        return f"{age // _MINUTE} min"
    if age < _DAY:
        return f"{age // _HOUR} h"
    if age < 31 * _DAY:
        return "1 day" if age < 2 * _DAY else f"{age // _DAY} days"
    return describe_date(at.date(), now.date())


def describe_date(day: date, today: date) -> str:
    """Return `3 December`, with the year where it is another one."""
    text = f"{day.day} {day:%B}"
    return text if day.year == today.year else f"{text} {day.year}"


def describe_day(day: date, today: date) -> str:
    """Return `Thursday 3 December`, with the year where it is another one."""
    return f"{day:%A} {describe_date(day, today)}"


def near_day(day: date, today: date) -> str | None:
    """Return `Today` or `Yesterday`, None for any other day."""
    return {today: "Today", today - _DAY: "Yesterday"}.get(day)
