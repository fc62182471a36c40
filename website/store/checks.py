"""When the source was last looked at for new chapters: SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sql


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The last time that `chapter-feed` has read the source to its end.

    Attributes:
        found: how many new chapters it found; None where that is not known.
    """

    at: datetime
    found: int | None


def last_check(connection: sql.Connection) -> LastCheck | None:
    """Return the last check, None if there was none yet."""
    row = connection.execute(
        "SELECT last_success_at, metadata -> 'last_run' ->> 'chapters_new' FROM sync_state"
        " WHERE sync_type = 'chapter_feed' AND last_success_at IS NOT NULL"
    ).fetchone()
    if row is None:
        return None
    at, found = row
    return LastCheck(at, int(found) if found and found.isdigit() else None)
