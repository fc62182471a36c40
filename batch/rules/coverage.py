"""What completed initial syncs have covered, which decides whether another is needed. Pure.

Kept as a list in the workflow's metadata: of two imports, neither has to cover the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coverage:
    """The titles of one import.

    Attributes:
        count: how many of the first titles in the order; None for all.
        order: irrelevant if it was all.
        ratings: the content ratings of the titles.
    """

    count: int | None
    order: str
    ratings: frozenset[str]

    def covers(self, wanted: Coverage) -> bool:
        """Return whether an import of `wanted` would find nothing that this one did not."""
        if self.count is None:
            return wanted.ratings <= self.ratings
        # With other ratings, the first titles are other ones.
        same = (self.order, self.ratings) == (wanted.order, wanted.ratings)
        return same and wanted.count is not None and wanted.count <= self.count

    def as_json(self) -> dict[str, object]:
        which = {"all": True} if self.count is None else {"count": self.count, "order": self.order}
        return which | {"ratings": sorted(self.ratings)}


def read(stored: object, today: Coverage) -> list[Coverage]:
    """Return the imports that the metadata list.

    Args:
        today: order and ratings for entries of earlier versions, which lack them.
    """
    entries = stored if isinstance(stored, list) else [stored]
    found = (_read_entry(entry, today) for entry in entries if isinstance(entry, Mapping))
    return [coverage for coverage in found if coverage is not None]


def _read_entry(entry: Mapping[object, object], today: Coverage) -> Coverage | None:
    count, order, ratings = entry.get("count"), entry.get("order"), entry.get("ratings")
    is_all = entry.get("all") is True
    if not (is_all or isinstance(count, int)):
        return None
    return Coverage(
        count if isinstance(count, int) and not is_all else None,
        order if isinstance(order, str) else today.order,
        frozenset(map(str, ratings)) if isinstance(ratings, list) else today.ratings,
    )


def is_covered(known: Iterable[Coverage], wanted: Coverage) -> bool:
    return any(each.covers(wanted) for each in known)


def extended(known: list[Coverage], done: Coverage) -> list[Coverage]:
    """Return the list with the import that is done now, without those that it covers."""
    if is_covered(known, done):
        return known
    return [*(each for each in known if not done.covers(each)), done]
