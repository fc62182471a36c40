"""How a reader stands with a title, and how a list raises it: pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from readers.lists.entries.entry import STATUSES


@dataclass(frozen=True, slots=True)
class Standing:
    """A row of `user_progress`: a status, and the last chapter read in whole numbers."""

    status: str
    chapter: int


def raised(
    standing: Standing | None, status: str | None, progress: Decimal | None
) -> Standing | None:
    """Return the standing after a list: a status never falls back, the higher progress counts.

    Without a row, a list that says nothing makes none. A status that this program does not know
    is kept.
    """
    chapter = int(progress or 0)
    if standing is None:
        return Standing(status or "reading", chapter) if status or chapter else None
    is_higher = (
        status is not None
        and standing.status in STATUSES
        and STATUSES.index(status) > STATUSES.index(standing.status)
    )
    return Standing(
        status if is_higher and status else standing.status, max(chapter, standing.chapter)
    )
