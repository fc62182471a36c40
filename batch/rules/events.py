"""The events that the outbox delivers. Pure: the same news always has the same key."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

from batch.models import Manga, OutboxEvent
from batch.rules.chapters import ZERO, Announcement, Position, Title, baseline_of
from batch.rules.titles import Change, StoredTitle, find_changes

MAX_SINGLE = 5  # more new chapters of a title than this in one run make one event


def manga_event(manga_id: int, mangadex_id: UUID, title: str) -> OutboxEvent:
    """Return the event of a title that is new in the catalogue."""
    payload = {"manga_id": manga_id, "title": title}
    return OutboxEvent("new-manga", manga_id, f"new-manga:{mangadex_id}", payload)


def update_events(
    before: Mapping[UUID, StoredTitle], mangas: Sequence[Manga], updated: Container[UUID]
) -> list[OutboxEvent]:
    """Return one event for each title that changed in what readers hear of.

    Args:
        before: the titles as they were stored.
        updated: those of which anything was written.
    """
    found = []
    for manga in mangas:
        stored = before.get(manga.mangadex_id)
        if stored is None or manga.mangadex_id not in updated:
            continue
        if changes := find_changes(stored, manga):
            found.append(update_event(stored.id, manga, changes))
    return found


def update_event(manga_id: int, manga: Manga, changes: Sequence[Change]) -> OutboxEvent:
    """Return the event of changes in one version of a title.

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
    return OutboxEvent("manga-update", manga_id, key, payload)


def chapter_events(title: Title, announcements: Sequence[Announcement]) -> list[OutboxEvent]:
    """Return one event a chapter, lowest number first; one for all where there are many.

    Args:
        title: as it was stored before these chapters came.
        announcements: those made for the first time.
    """
    new = [each for each in announcements if each.has_event]
    new.sort(key=lambda each: _event_order(each, title.numbering_restarts))
    languages = {each.key.language for each in new}
    highest = {language: _highest_known(title, language) for language in languages}
    if len(new) > MAX_SINGLE:
        return [_list_event(title, new, _highest(*highest.values()))]
    events = []
    for each in new:
        before = highest[each.key.language]
        payload = {"manga_id": title.id, "title": title.title, "chapter": _json(each.number)}
        key = f"new-chapter:{title.mangadex_id}:{each.key}"
        events.append(OutboxEvent("new-chapter", title.id, key, payload | _old_chapter(before)))
        position = each.key.position(title.numbering_restarts)
        highest[each.key.language] = _highest(before, position)
    return events


def _list_event(
    title: Title, announcements: Sequence[Announcement], before: Position | None
) -> OutboxEvent:
    """Return one event for all; chapters without a number are part of it, but not listed."""
    numbers = sorted({each.number for each in announcements if each.number is not None})
    payload: dict[str, object] = {"manga_id": title.id, "title": title.title, "chapter": None}
    if numbers:
        payload["chapter"] = _json(numbers[-1])
    if len(numbers) > 1:
        payload["chapters"] = [_json(number) for number in numbers]
    key = f"new-chapters:{title.mangadex_id}:{_digest([str(each.key) for each in announcements])}"
    return OutboxEvent("new-chapter", title.id, key, payload | _old_chapter(before))


def _old_chapter(before: Position | None) -> dict[str, object]:
    return {} if before is None else {"old_chapter": _json(before.number)}


def _highest_known(title: Title, language: str) -> Position | None:
    """Return the baseline, or the highest chapter that was stored above it."""
    rows = (r for r in title.stored if r.manga_id == title.id and r.key.language == language)
    positions = [row.key.position(title.numbering_restarts) for row in rows]
    baseline = baseline_of(title, language)
    return _highest(*positions, baseline.position if baseline else None)


def _highest(*positions: Position | None) -> Position | None:
    return max((each for each in positions if each is not None), default=None)


def _event_order(
    announcement: Announcement, numbering_restarts: bool
) -> tuple[bool, Position, Decimal, str, str]:
    key = announcement.key
    position = key.position(numbering_restarts)
    no_position = Position(ZERO, ZERO)
    return position is None, position or no_position, key.number, key.language, key.scope


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _json(number: Decimal | None) -> int | float | None:
    if number is None:
        return None
    return int(number) if number == int(number) else float(number)
