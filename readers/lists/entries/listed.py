"""A title of a reader's library, as it leaves in a list: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

_LONGEST_NUMBER = 18


@dataclass(frozen=True, slots=True)
class ListedTitle:
    """A title with what identifies it without this database, and what its reader has read.

    Attributes:
        status: None if the reader has set none; then nothing is read either.
        progress: the last chapter read; a whole number of what is in the library.
        ids: at other sites, by the codes of `sites`.
        chapters: of those up to the progress, the ones that are stored: MangaDex id and number.
    """

    title: str
    author: str
    mangadex_id: UUID | None
    status: str | None
    progress: int | Decimal
    ids: Mapping[str, str]
    added_at: datetime | None = None
    is_gone: bool = False
    chapters: tuple[tuple[UUID, Decimal], ...] = ()

    def numeric_id(self, site: str) -> int | None:
        """Return a site's id as a number, as trackers have it; MangaUpdates links base 36."""
        id = self.ids.get(site, "")
        if not id.isascii() or not id.isalnum() or len(id) > _LONGEST_NUMBER:
            return None
        if id.isdigit():
            return int(id)
        return int(id, 36) if site == "mu" else None
