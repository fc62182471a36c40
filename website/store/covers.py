"""Where a title's cover is: SQL."""

from __future__ import annotations

import sql


def find_cover_url(connection: sql.Connection, manga_id: int) -> tuple[bool, str | None]:
    """Return whether there is such a title, and its cover's address at the source."""
    row = connection.execute("SELECT cover_url FROM manga WHERE id = %s", [manga_id]).fetchone()
    return row is not None, row[0] if row else None
