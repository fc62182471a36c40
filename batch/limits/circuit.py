"""What runs know of the source between them: whether it works, fails, or has banned us.

Kept in the database, row `source` of `mangahub_meta`, so that it outlives runs and reboots and
holds for every host. A run that ends because the source fails records it; the next one first
probes with a single request. A ban stops every run until its time is over, and each further one in
a row lasts twice as long: requests during a ban renew it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from batch.errors import Banned, SourceDown
from sql import Connection
from sql.state.source import KEY, Health, read_source

FIRST_BAN = timedelta(minutes=10)
LONGEST_BAN = timedelta(days=1)

log = logging.getLogger(__name__)


def admit(connection: Connection, probe: Callable[[], None], now: datetime) -> None:
    """Let a run begin, after a probe if the source failed in the last one.

    Args:
        probe: sends the source one request.

    Raises:
        Banned: the ban is not over.
        SourceDown: the probe failed.
    """
    health = read_source(connection)
    if health.state == "well":
        return
    # After a clock was set back, a ban must not last longer than the longest one.
    if health.until and now < health.until <= now + LONGEST_BAN:
        raise Banned(f"no request before {health.until:%Y-%m-%d %H:%M} UTC: {health.reason}")
    log.info("Probing the source with one request; it failed in the last run: %s", health.reason)
    probe()
    note_well(connection)


def note_well(connection: Connection) -> None:
    """Record that the source has answered as it should."""
    connection.execute(
        "DELETE FROM mangahub_meta WHERE key = %s AND value->>'state' <> 'well'", [KEY]
    )


def note_failure(connection: Connection, error: SourceDown, now: datetime) -> Health:
    """Record why a run had to end; each further ban in a row lasts longer.

    Returns:
        what is known now; no request may be sent before its `until`.
    """
    before = read_source(connection)
    if isinstance(error, Banned):
        health = _banned(before, str(error), now)
        log.error(
            "THE SOURCE HAS BANNED THIS ADDRESS: no request is sent until=%s bans_in_a_row=%d",
            health.until,
            health.bans,
        )
    else:
        since = before.since if before.state == "trouble" else now
        health = Health("trouble", str(error)[:500], since, None, before.bans)
    connection.execute(
        "INSERT INTO mangahub_meta (key, value) VALUES (%s, %s)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [KEY, Jsonb(as_json(health))],
    )
    return health


def _banned(before: Health, reason: str, now: datetime) -> Health:
    if before.until and now < before.until:
        return before  # this run was under way when the ban began
    span = min(FIRST_BAN * 2**before.bans, LONGEST_BAN)
    return Health("banned", reason[:500], now, now + span, min(before.bans + 1, 20))


def as_json(health: Health) -> dict[str, object]:
    return {
        "state": health.state,
        "reason": health.reason,
        "since": health.since.isoformat() if health.since else None,
        "until": health.until.isoformat() if health.until else None,
        "bans": health.bans,
    }
