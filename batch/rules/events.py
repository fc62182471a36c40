"""The events that the outbox delivers. Pure: the same news always has the same key."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from urllib.parse import urlsplit
from uuid import UUID

from batch.models import Chapter, Manga, OutboxEvent
from batch.rules.baselines import baseline_of
from batch.rules.chapter_models import ZERO, Announcement, ChapterKey, Position, Title
from batch.rules.titles import Change, StoredTitle, find_changes

SITE = "https://mangadex.org"
MAX_SINGLE = 5  # more new chapters of a title and language than this in one run make one event
# What the notification server takes.
MAX_ITEMS = 50
MAX_GROUPS = 10
MAX_URL = 512
MAX_CHAPTER_TITLE = 500


def manga_event(manga_id: int, manga: Manga) -> OutboxEvent:
    """Return the event of a title that is new in the catalogue."""
    payload = {
        "manga_id": manga_id,
        "title": manga.title,
        "url": f"{SITE}/title/{manga.mangadex_id}",
        "genres": list(manga.genres),
        "content_rating": manga.content_rating,
    }
    return OutboxEvent("new-manga", manga_id, f"new-manga:{manga.mangadex_id}", payload)


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


def chapter_events(
    title: Title, announcements: Sequence[Announcement], uploads: Mapping[ChapterKey, Chapter]
) -> list[OutboxEvent]:
    """Return one event a chapter, lowest number first; one a language where there are many.

    Args:
        title: as it was stored before these chapters came.
        announcements: those made for the first time.
        uploads: what is announced by each key, as far as it is known.
    """
    new = [each for each in announcements if each.has_event]
    new.sort(key=lambda each: _event_order(each, title.numbering_restarts))
    by_language: dict[str, list[Announcement]] = {}
    for each in new:
        by_language.setdefault(each.key.language, []).append(each)
    events, lists = [], []
    for language, of_language in by_language.items():
        before = _highest_known(title, language)
        if len(of_language) > MAX_SINGLE:
            lists.append(_list_event(title, of_language, uploads, before))
        else:
            events += _single_events(title, of_language, uploads, before)
    order = {_single_key(title, each): place for place, each in enumerate(new)}
    return sorted(events, key=lambda event: order[event.dedup_key]) + lists


def _single_events(
    title: Title,
    announcements: Sequence[Announcement],
    uploads: Mapping[ChapterKey, Chapter],
    before: Position | None,
) -> list[OutboxEvent]:
    events = []
    for each in announcements:
        payload = {"manga_id": title.id, "title": title.title, "chapter": _json(each.number)}
        payload |= _old_chapter(before) | _upload(uploads.get(each.key))
        events.append(OutboxEvent("new-chapter", title.id, _single_key(title, each), payload))
        before = _highest(before, each.key.position(title.numbering_restarts))
    return events


def _single_key(title: Title, announcement: Announcement) -> str:
    return f"new-chapter:{title.mangadex_id}:{announcement.key}"


def _list_event(
    title: Title,
    announcements: Sequence[Announcement],
    uploads: Mapping[ChapterKey, Chapter],
    before: Position | None,
) -> OutboxEvent:
    """Return one event for all of a language.

    Chapters without a number are part of it, but not of `chapters`.
    """
    numbers = sorted({each.number for each in announcements if each.number is not None})
    payload: dict[str, object] = {"manga_id": title.id, "title": title.title, "chapter": None}
    if numbers:
        payload["chapter"] = _json(numbers[-1])
    if len(numbers) > 1:
        payload["chapters"] = [_json(number) for number in numbers]
    payload["language"] = announcements[0].key.language
    payload["url"] = f"{SITE}/title/{title.mangadex_id}"
    payload["items"] = [
        {"chapter": _json(each.number), **_upload(uploads.get(each.key))}
        for each in announcements[-MAX_ITEMS:]
    ]
    key = f"new-chapters:{title.mangadex_id}:{_digest([str(each.key) for each in announcements])}"
    return OutboxEvent("new-chapter", title.id, key, payload | _old_chapter(before))


def _upload(chapter: Chapter | None) -> dict[str, object]:
    """Return what a reader needs to open a chapter, and to know whose work it is."""
    if chapter is None:
        return {}
    names = chapter.group_names[:MAX_GROUPS]
    found = {
        "language": chapter.translated_language,
        "volume": chapter.volume,
        "chapter_title": (chapter.title or "")[:MAX_CHAPTER_TITLE],
        "groups": [{"id": str(group), "name": name} for group, name in names],
        "mangadex_chapter_id": str(chapter.mangadex_chapter_id),
        "url": _address(chapter),
    }
    return {name: value for name, value in found.items() if value}


def _address(chapter: Chapter) -> str:
    """Return the publisher's address where a browser may be sent there, else the source's."""
    text = chapter.external_url or ""
    try:
        is_web = urlsplit(text).scheme in ("http", "https") and bool(urlsplit(text).hostname)
    except ValueError:
        is_web = False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if is_web and is_plain and len(text) <= MAX_URL:
        return text
    return f"{SITE}/chapter/{chapter.mangadex_chapter_id}"


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
