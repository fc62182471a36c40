"""iCalendar (RFC 5545): what came, and what may come, as days. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import icalendar

from website.rules.texts import plain

MIME_TYPE = "text/calendar"
_REFRESH = timedelta(hours=6)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Occasion:
    """A day in the calendar.

    Attributes:
        id: always the same for the same occasion.
        known_since: the day since which this is known.
    """

    id: str
    day: date
    title: str
    text: str
    url: str
    known_since: date


def write_calendar(title: str, occasions: Iterable[Occasion]) -> bytes:
    """Return the calendar; programs that subscribe to it read it again every six hours."""
    made: Any = icalendar.Calendar()
    made.add("PRODID", "-//MangaHub//Calendar//EN")
    made.add("VERSION", "2.0")
    made.add("METHOD", "PUBLISH")
    made.add("X-WR-CALNAME", plain(title))
    made.add("REFRESH-INTERVAL", _REFRESH, parameters={"VALUE": "DURATION"})
    made.add("X-PUBLISHED-TTL", "PT6H")
    for occasion in occasions:
        made.add_component(_event(occasion))
    return bytes(made.to_ical())


def _event(occasion: Occasion) -> Any:
    event: Any = icalendar.Event()
    event.add("UID", occasion.id)
    event.add("DTSTAMP", datetime.combine(occasion.known_since, time(), UTC))
    event.add("DTSTART", occasion.day)
    event.add("DTEND", occasion.day + _DAY)
    event.add("SUMMARY", plain(occasion.title))
    event.add("DESCRIPTION", plain(occasion.text))
    event.add("URL", occasion.url)
    event.add("TRANSP", "TRANSPARENT")  # nobody is busy on that day
    return event
