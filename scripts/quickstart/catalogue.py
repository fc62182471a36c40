"""What the tour reads from the database to show it."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import sql


class Title(NamedTuple):
    """A row of `manga`."""

    id: int
    mangadex_id: UUID
    title: str


class Catalogue:
    """Reads one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def count(self) -> int:
        """How many titles there are."""
        return int(self._rows("SELECT count(*) FROM manga")[0][0])

    def some(self, limit: int) -> list[tuple[str | None, ...]]:
        """Title, author, status and genres of the first that were stored."""
        return self._rows(
            "SELECT title, author, status, "
            " (SELECT string_agg(name, ', ' ORDER BY name) FROM manga_genres "
            "  JOIN genres ON genres.id = genre_id WHERE manga_id = manga.id) "
            "FROM manga ORDER BY id LIMIT %s",
            limit,
        )

    def promising(self) -> list[Title]:
        """Titles whose next number is plain, those first whose next chapter is likely soon.

        One that a reader already follows comes before all, then those that fit a line.
        """
        rows = self._rows(
            "SELECT id, mangadex_id, title FROM manga "
            "WHERE mangadex_id IS NOT NULL AND NOT numbering_restarts "
            "ORDER BY id NOT IN (SELECT manga_id FROM user_library), "
            " status IS DISTINCT FROM 'ongoing', content_rating IS DISTINCT FROM 'safe', "
            " length(title) > 40, id"
        )
        return [Title(*row) for row in rows]

    def chapters(self, title: Title) -> list[tuple[str, str]]:
        """Number and time of a title's chapters that came since its import, in that order."""
        return self._rows(
            "SELECT trim_scale(chapter_number)::text, to_char(published_at AT TIME ZONE 'UTC', "
            " 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM chapters WHERE manga_id = %s ORDER BY id",
            title.id,
        )

    def users(self) -> list[str]:
        return [name for (name,) in self._rows("SELECT username FROM users")]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with sql.connect(self._url, "mangahub-quickstart") as connection, sql.translated():
            return connection.execute(query.encode(), values).fetchall()
