"""What of a title changed, and which changes readers hear of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from batch.models import Manga

ANNOUNCED = ("title", "status", "cover_url")  # other fields change without an event


@dataclass(frozen=True, slots=True)
class StoredTitle:
    """A title as the database has it.

    Attributes:
        version: the source's, as it was stored last; None for a title that another program stored.
    """

    id: int
    mangadex_id: UUID
    title: str
    status: str | None
    cover_url: str | None
    version: int | None

    @property
    def is_adopted(self) -> bool:
        """Whether this program has never stored it: how old its values are is unknown."""
        return self.version is None


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a title, before and after."""

    field: str
    old_value: str | None
    new_value: str | None


def find_changes(before: StoredTitle, after: Manga) -> list[Change]:
    """Return the changes that are announced; how an adopted title differs is its baseline."""
    return [] if before.is_adopted else find_differences(before, after)


def find_differences(before: StoredTitle, after: Manga) -> list[Change]:
    """Return what differs of the fields that are announced; a cover that is left out stays."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in ANNOUNCED]
    return [
        Change(name, old, new)
        for name, old, new in pairs
        if old != new
        and not (name == "cover_url" and new is None)
        and not (before.is_adopted and old is None)
    ]


def keep_covers(mangas: Sequence[Manga], before: Mapping[UUID, StoredTitle]) -> list[Manga]:
    """Return the titles, with the stored cover where the answer leaves it out."""
    return [
        replace(manga, cover_url=before[manga.mangadex_id].cover_url)
        if manga.cover_url is None and manga.mangadex_id in before
        else manga
        for manga in mangas
    ]
