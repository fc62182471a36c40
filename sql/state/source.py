"""What runs know of the source: whether it works, fails, or has banned us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sql.connection import Connection

KEY = "source"  # of the row of `mangahub_meta`


@dataclass(frozen=True, slots=True)
class Health:
    """The row; `state` is well, trouble (it fails) or banned.

    Attributes:
        until: the end of a ban.
        bans: how many bans there were in a row.
    """

    state: str = "well"
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    bans: int = 0


def read_source(connection: Connection) -> Health:
    """Return what is known of the source; `well` if nothing is."""
    row = connection.execute(
        "SELECT value->>'state', value->>'reason', (value->>'since')::timestamptz,"
        " (value->>'until')::timestamptz, coalesce((value->>'bans')::integer, 0)"
        " FROM mangahub_meta WHERE key = %s",
        [KEY],
    ).fetchone()
    return Health(*row) if row else Health()
