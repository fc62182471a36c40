"""The simulator's time: the real clock plus a shift that tests may order.

Instants are whole UTC epoch seconds inside the simulator; text appears at the JSON edge only,
always as `2025-06-15T21:46:40+00:00`, never with a fraction (as in every recorded answer).
"""

from __future__ import annotations

import time
from calendar import timegm
from datetime import UTC, datetime

DAY_S = 86_400


class Clock:
    """Tells the time of the simulated site."""

    def __init__(self) -> None:
        self.shift_s = 0.0

    def now(self) -> int:
        """Return the present epoch second, shift included."""
        return int(time.time() + self.shift_s)


def format_instant(epoch_s: int) -> str:
    """Write an epoch second the way the API does."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(epoch_s))


def parse_query_date(text: str) -> int:
    """Read a date of the query format (UTC, no zone); raises ValueError for no such day."""
    return timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def parse_instant(value: object) -> int:
    """Read an instant of an order: epoch seconds, a datetime or ISO text (UTC without a zone)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str | datetime):
        raise ValueError(f"not an instant: {value!r}")
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return int(instant.timestamp())
