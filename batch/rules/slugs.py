"""Slugs: titles as they appear in addresses. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from uuid import UUID

MAX_LENGTH = 200  # an index entry has to fit into a third of a database page


def base_slug(title: str) -> str:
    """Return lower case ASCII words joined by hyphens; empty for a title without any."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain.replace("'", "")))[:MAX_LENGTH].strip("-")


def candidates(title: str, mangadex_id: UUID) -> Iterator[str]:
    """Yield the slugs to try in turn; the last one is taken only by malice."""
    base = base_slug(title)
    if base:
        yield base
    for suffix in (mangadex_id.hex[:8], mangadex_id.hex):
        yield f"{base}-{suffix}" if base else suffix


def choose(titles: Iterable[tuple[UUID, str]], taken: set[str]) -> dict[UUID, str]:
    """Return a free slug for each (id, title); those chosen for earlier ones count as taken.

    A title whose candidates are all taken gets its id, which may be taken in the database.
    """
    used = set(taken)
    chosen: dict[UUID, str] = {}
    for mangadex_id, title in titles:
        free = (slug for slug in candidates(title, mangadex_id) if slug not in used)
        slug = next(free, str(mangadex_id))
        used.add(slug)
        chosen[mangadex_id] = slug
    return chosen
