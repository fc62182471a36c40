"""Which uploads count, and how the stored rows of a title change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from batch.models import Chapter, plain_decimal
from batch.rules.baselines import is_above_baseline, is_new
from batch.rules.chapter_models import (
    ZERO,
    Announcement,
    ChapterKey,
    Rules,
    StoredChapter,
    Title,
    TitleChanges,
    key_of,
)

# Uploads of one number whose volume is not known are the same chapter if they come within this.
SAME_CHAPTER = timedelta(days=14)


def select_readable(chapters: Iterable[Chapter], rules: Rules, now: datetime) -> list[Chapter]:
    """Return the chapters that may be new, each upload once, in the order of their numbers."""
    by_id = {c.mangadex_chapter_id: c for c in chapters if is_readable(c, rules, now)}
    return sorted(by_id.values(), key=_reading_order)


def is_readable(chapter: Chapter, rules: Rules, now: datetime) -> bool:
    """Return whether it is in a tracked language, published, available, and not blocked."""
    return (
        chapter.translated_language in rules.languages
        and chapter.readable_at <= now
        and not chapter.is_unavailable
        and chapter.groups.isdisjoint(rules.blocked_groups)
        and chapter.uploader not in rules.blocked_uploaders
    )


def find_gone(
    title: Title,
    feed: Sequence[Chapter],
    listed: frozenset[UUID] | None,
    languages: frozenset[str],
) -> frozenset[UUID]:
    """Return the stored uploads that cannot be read any more.

    Args:
        listed: all uploads that the source has in these languages, so that what is missing is
            gone; None where that is not known.
    """
    taken_down = {chapter.mangadex_chapter_id for chapter in feed if chapter.is_unavailable}
    return frozenset(
        row.mangadex_chapter_id
        for row in title.stored
        if row.mangadex_chapter_id
        and row.manga_id == title.id
        and (
            row.mangadex_chapter_id in taken_down
            or (
                listed is not None
                and row.key.language in languages
                and row.mangadex_chapter_id not in listed
            )
        )
    )


def decide_changes(
    title: Title, readable: Sequence[Chapter], gone: frozenset[UUID] = frozenset()
) -> TitleChanges:
    """Decide what happens to a title's rows.

    Args:
        title: as it is stored.
        readable: what `select_readable` returns.
        gone: uploads that cannot be read any more; the row of one passes to another upload of
            the same key, if there is one, or is marked. Absence alone never removes a row.
    """
    result = TitleChanges()
    came = {chapter.mangadex_chapter_id: chapter for chapter in readable}
    taken: dict[ChapterKey, StoredChapter | None] = {}
    corrected: list[tuple[StoredChapter, Chapter]] = []
    for row in sorted(title.stored, key=lambda row: row.id):
        chapter = came.pop(row.mangadex_chapter_id, None) if row.mangadex_chapter_id else None
        if chapter and not _stays(row, chapter, title):
            corrected.append((row, chapter))
        elif row.manga_id == title.id:
            taken[row.key] = row
            if chapter and (row.is_gone or _differs(row, chapter)):
                result.updates.append((row, row.key, chapter))
    for row, chapter in corrected:
        _move(result, taken, title, row, chapter)
    for chapter in came.values():
        _admit(result, taken, title, chapter, gone)
    found_gone = (row for row in taken.values() if row and row.mangadex_chapter_id in gone)
    result.gone.extend(row for row in found_gone if not row.is_gone)
    return result


def known_before(title: Title, changes: TitleChanges) -> Title:
    """Return the title with the rows that its readers could know of before these changes.

    Left out is what is gone, and what stands where it has only now been corrected to.
    """
    announced = {each.key for each in changes.announcements if each.has_event}
    updated = {row.id: key for row, key, _ in changes.updates}
    withdrawn = {row.id for row in (*changes.removals, *changes.gone)}
    known = [
        replace(row, manga_id=title.id, key=updated[row.id])
        for row in title.stored
        if row.id in updated and updated[row.id] not in announced
    ]
    known += [
        row for row in title.stored if not (row.is_gone or row.id in updated or row.id in withdrawn)
    ]
    return replace(title, stored=known)


def highest_found(changes: TitleChanges) -> Decimal | None:
    """Return the highest number that is new, or whose upload is back."""
    came_back = [key for row, key, _ in changes.updates if row.is_gone]
    return _highest_number([each.key for each in changes.announcements] + came_back)


def highest_withdrawn(changes: TitleChanges) -> Decimal | None:
    """Return the highest number that no row has any more, or whose upload is gone."""
    moved = [row.key for row, key, _ in changes.updates if row.key != key]
    return _highest_number(moved + [row.key for row in (*changes.removals, *changes.gone)])


def _highest_number(keys: Iterable[ChapterKey]) -> Decimal | None:
    return max((key.number for key in keys if key.has_number), default=None)


def _move(
    result: TitleChanges,
    taken: dict[ChapterKey, StoredChapter | None],
    title: Title,
    row: StoredChapter,
    chapter: Chapter,
) -> None:
    """Move the row of a stored upload whose number was corrected, or join the row there."""
    key = key_of(chapter, title.numbering_restarts)
    if key in taken:
        result.removals.append(row)
        return
    taken[key] = None
    result.updates.append((row, key, chapter))
    if is_above_baseline(key, title):
        result.announcements.append(Announcement(key, not _is_same_number(row, key, title)))


def _admit(
    result: TitleChanges,
    taken: dict[ChapterKey, StoredChapter | None],
    title: Title,
    chapter: Chapter,
    gone: frozenset[UUID],
) -> None:
    """Add a row for an upload without one, if it is new and the first of its key."""
    own = key_of(chapter, title.numbering_restarts)
    if own.awaits_volume and chapter.mangadex_chapter_id in title.announced_uploads:
        return
    key = _shared_key(taken, own, chapter)
    if key != own:  # announced as the other, whose key ends when its volume is known
        result.announcements.append(Announcement(own, has_event=False))
    if key in taken:
        row = taken[key]
        if row and (row.is_gone or row.mangadex_chapter_id in gone):
            taken[key] = None
            result.updates.append((row, key, chapter))
    elif is_new(chapter, key, title):
        taken[key] = None
        result.inserts.append((key, chapter))
        result.announcements.append(Announcement(key))


def _shared_key(
    taken: Mapping[ChapterKey, StoredChapter | None], key: ChapterKey, chapter: Chapter
) -> ChapterKey:
    """Return the key of another group's upload of the chapter, where neither's volume is known."""
    for other, row in taken.items() if key.awaits_volume else ():
        if (other.language, other.number) != (key.language, key.number):
            continue
        if not other.scope:  # from before such uploads were remembered by their ids
            return other
        uploaded_at = row.published_at if row else None
        is_near = uploaded_at is None or chapter.readable_at - uploaded_at < SAME_CHAPTER
        if other.awaits_volume and is_near:
            return other
    return key


def _stays(row: StoredChapter, chapter: Chapter, title: Title) -> bool:
    """Return whether a row keeps its key.

    Rows from before there were languages keep the number that they share (`row:ID`), and those
    without a volume from before they were remembered by upload keep theirs until it is known.
    """
    key = key_of(chapter, title.numbering_restarts)
    if row.manga_id != title.id:
        return False
    if row.key.scope.startswith("row:") or (key.awaits_volume and not row.key.scope):
        return (row.key.language, row.key.number) == (key.language, key.number)
    return row.key == key


def _is_same_number(row: StoredChapter, key: ChapterKey, title: Title) -> bool:
    """Return whether only the volume became known, or counts now: the number was announced."""
    return (
        row.manga_id == title.id
        and (row.key.language, row.key.number) == (key.language, key.number)
        and any(each.awaits_volume or not each.scope for each in (row.key, key))
    )


def _differs(row: StoredChapter, chapter: Chapter) -> bool:
    return (row.volume, row.title, row.external_url, row.pages, row.published_at) != (
        chapter.volume,
        chapter.title,
        chapter.external_url,
        chapter.pages,
        chapter.readable_at,
    )


def _reading_order(chapter: Chapter) -> tuple[bool, Decimal, Decimal, datetime, UUID]:
    """Return a sort key: by volume and number, those without one last; then by time."""
    return (
        chapter.number is None,
        plain_decimal(chapter.volume) or ZERO,
        chapter.number or ZERO,
        chapter.readable_at,
        chapter.mangadex_chapter_id,
    )
