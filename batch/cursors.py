"""Cursors as text in `sync_state.last_cursor`: the API's own format, UTC without zone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(minutes=1)
LOOK_BACK = timedelta(days=1)

log = logging.getLogger(__name__)


def write_cursor(moment: datetime) -> str:
    """To the second, as the API's `…Since` parameters want it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def read_cursor(text: object) -> datetime | None:
    """Also what another program left, such as RFC 3339; None where it is no time."""
    try:
        moment = datetime.fromisoformat(text.strip()) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def believe(cursor: datetime | None, now: datetime) -> datetime | None:
    """A cursor in the future tells only that some clock was wrong: then a day is read again."""
    if cursor is None or cursor <= now + TOLERANCE:
        return cursor
    log.warning("The cursor is in the future, so the last day is read again cursor=%s", cursor)
    return now - LOOK_BACK
