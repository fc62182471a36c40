"""How many requests left for the source, by minute: written by `sql.budget`."""

from __future__ import annotations

from datetime import datetime, timedelta

from sql.budget import source_key
from sql.connection import Connection

HOURS = 24


def count_last_hour(connection: Connection, source_url: str, now: datetime) -> int:
    row = connection.execute(
        "SELECT coalesce(sum(requests), 0) FROM api_requests"
        " WHERE source = %s AND began_at > %s AND began_at <= %s",
        [source_key(source_url), now - timedelta(hours=1), now + timedelta(minutes=2)],
    ).fetchone()
    return int(row[0]) if row else 0


def count_by_hour(connection: Connection, source_url: str, now: datetime) -> dict[datetime, int]:
    """Return the requests of the last HOURS hours, by when these began, oldest first."""
    this = now.replace(minute=0, second=0, microsecond=0)
    hours = [this - timedelta(hours=ago) for ago in reversed(range(HOURS))]
    rows = connection.execute(
        "SELECT date_trunc('hour', began_at, 'UTC'), sum(requests) FROM api_requests"
        " WHERE source = %s AND began_at >= %s GROUP BY 1",
        [source_key(source_url), hours[0]],
    ).fetchall()
    counted = {hour: int(count) for hour, count in rows}
    return {hour: counted.get(hour, 0) for hour in hours}
