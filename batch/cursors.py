"""Cursors as text in `sync_state.last_cursor`: the API's own format, UTC without zone."""

from __future__ import annotations

from datetime import UTC, datetime


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
