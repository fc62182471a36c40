"""Pure: the news as rows of the outbox. The same news always makes the same key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from batch.models import Event, Manga
from batch.rules.chapters import Announcement, Position, Title, baseline_of, shown, stored_position

MAX_SINGLE = 5  # more new chapters of a title than this in one run make one event
TOLD_FIELDS = ("title", "status", "cover_url")


class Described(Protocol):
    """What readers are told of when it changes."""

    @property
    def title(self) -> str: ...
    @property
    def status(self) -> str | None: ...
    @property
    def cover_url(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a title, before and after."""

    field: str
    old_value: str | None
    new_value: str | None


def manga_event(manga_id: int, mangadex_id: UUID, title: str) -> Event:
    """A title that the catalogue did not have."""
    payload = {"manga_id": manga_id, "title": title}
    return Event("new-manga", manga_id, f"new-manga:{mangadex_id}", payload)


def find_changes(before: Described, after: Described) -> list[Change]:
    """What readers should hear of; the rest is stored in silence."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in TOLD_FIELDS]
    return [Change(name, old, new) for name, old, new in pairs if old != new]


def update_event(manga_id: int, manga: Manga, changes: Sequence[Change]) -> Event:
    """Changes of one title in one version of it.

    A cover can change without a new version, so the changes are part of the key too.
    """
    detailed = [
        {"field": c.field, "old_value": c.old_value, "new_value": c.new_value} for c in changes
    ]
    payload = {
        "manga_id": manga_id,
        "title": manga.title,
        "changes": [change.field for change in changes],
        "detailed_changes": detailed,
    }
    key = f"manga-update:{manga.mangadex_id}:{manga.version}:{_digest(detailed)}"
    return Event("manga-update", manga_id, key, payload)


def chapter_events(title: Title, announcements: Sequence[Announcement]) -> list[Event]:
    """One event a chapter, lowest number first; one for all where there are many.

    Args:
        title: as it was stored before these chapters came.
        announcements: those that had never been announced.
    """
    told = sorted(
        (announcement for announcement in announcements if announcement.is_told), key=_telling_order
    )
    known = {
        announcement.key.language: _highest_known(title, announcement.key.language)
        for announcement in told
    }
    if len(told) > MAX_SINGLE:
        return [_list_event(title, told, max(filter(None, known.values()), default=None))]
    events = []
    for announcement in told:
        before = known[announcement.key.language]
        events.append(_single_event(title, announcement, before))
        known[announcement.key.language] = max(
            filter(None, (before, announcement.position)), default=None
        )
    return events


def _single_event(title: Title, announcement: Announcement, before: Position | None) -> Event:
    payload = {"manga_id": title.id, "title": title.title, "chapter": _json(announcement.number)}
    key = f"new-chapter:{title.mangadex_id}:{_name(announcement)}"
    return Event("new-chapter", title.id, key, payload | _old_chapter(before))


def _list_event(
    title: Title, announcements: Sequence[Announcement], before: Position | None
) -> Event:
    """Chapters without a number cannot stand in the list, but are part of the news."""
    numbers = sorted(
        {announcement.number for announcement in announcements if announcement.number is not None}
    )
    payload: dict[str, object] = {"manga_id": title.id, "title": title.title, "chapter": None}
    if numbers:
        payload["chapter"] = _json(numbers[-1])
    if len(numbers) > 1:
        payload["chapters"] = [_json(number) for number in numbers]
    names = [_name(announcement) for announcement in announcements]
    key = f"new-chapters:{title.mangadex_id}:{_digest(names)}"
    return Event("new-chapter", title.id, key, payload | _old_chapter(before))


def _old_chapter(before: Position | None) -> dict[str, object]:
    return {} if before is None else {"old_chapter": _json(before.number)}


def _highest_known(title: Title, language: str) -> Position | None:
    """The baseline or what was stored above it."""
    rows = (r for r in title.stored if r.manga_id == title.id and r.key.language == language)
    positions = [stored_position(row.key, title.numbering_restarts) for row in rows]
    baseline = baseline_of(title, language)
    if baseline and baseline.number is not None:
        positions.append(Position(baseline.volume or Decimal(0), baseline.number))
    return max(filter(None, positions), default=None)


def _telling_order(announcement: Announcement) -> tuple[bool, Position, Decimal, str, str]:
    first = Position(Decimal(0), Decimal(0))
    number = announcement.number or Decimal(0)
    key = announcement.key
    return (
        announcement.position is None,
        announcement.position or first,
        number,
        key.language,
        key.scope,
    )


def _name(announcement: Announcement) -> str:
    """The key as text: `en::10.5`, `en:volume:3:1`, `en:chapter:UUID:0`."""
    return f"{announcement.key.language}:{announcement.key.scope}:{shown(announcement.key.number)}"


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _json(number: Decimal | None) -> int | float | None:
    if number is None:
        return None
    return int(number) if number == int(number) else float(number)
