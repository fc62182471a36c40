"""Cursors as text in `sync_state.last_cursor`: the API's own format, UTC without zone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(minutes=1)
LOOK_BACK = timedelta(days=1)

log = logging.getLogger(__name__)


def write_cursor(moment: datetime) -> str:
    """Return the moment in whole seconds, as the API's `…Since` parameters require."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def believe(cursor: datetime | None, now: datetime) -> datetime | None:
    """Return the cursor, but a day ago for one in the future: it comes from a wrong clock."""
    if cursor is None or cursor <= now + TOLERANCE:
        return cursor
    log.warning("The cursor is in the future; the last day is read again cursor=%s", cursor)
    return now - LOOK_BACK
