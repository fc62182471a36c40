"""Which chapters are new, and how stored rows change. Pure.

chapter key   what one row of `chapters` and one announcement stand for: a number in a language,
              in a volume where numbering restarts, or a single upload that has no number, or
              whose volume is not known yet
position      where a number stands in the order of its series; None where it is unknown
baseline      the highest position that was readable before the title was first synced
announcement  of a chapter key: made once, and never again
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from batch.models import Chapter, plain_decimal

ALL_LANGUAGES = "*"  # the baseline of a title that another program had tracked before
ZERO = Decimal("0.00")
# Uploads of one number whose volume is not known are the same chapter if they come within this.
SAME_CHAPTER = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Rules:
    """Which uploads the operator wants."""

    languages: frozenset[str]
    blocked_groups: frozenset[UUID] = frozenset()
    blocked_uploaders: frozenset[UUID] = frozenset()


class Position(NamedTuple):
    """Volume first, then number; the volume is 0 where numbering does not restart."""

    volume: Decimal
    number: Decimal


@dataclass(frozen=True, slots=True)
class ChapterKey:
    """The key of a row; `scope` is '', `volume:V`, `upload:UUID` or `chapter:UUID`.

    These are the values of `number_scope`. A key's text is part of the keys of events: `en::10.5`,
    `en:volume:3:1`, `en:upload:UUID:1`, `en:chapter:UUID:0`.
    """

    language: str
    scope: str
    number: Decimal

    def __str__(self) -> str:
        return f"{self.language}:{self.scope}:{shown(self.number)}"

    @property
    def has_number(self) -> bool:
        return not self.scope.startswith("chapter:")

    @property
    def awaits_volume(self) -> bool:
        return self.scope.startswith("upload:")

    def position(self, numbering_restarts: bool) -> Position | None:
        """Return None without a number, or without a volume where the volume counts first."""
        if not self.has_number:
            return None
        if not numbering_restarts:
            return Position(ZERO, self.number)
        volume = plain_decimal(self.scope.removeprefix("volume:"))
        return None if volume is None else Position(volume, self.number)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A row of `chapter_baselines`; the number is None where nothing was readable before.

    Attributes:
        is_lowered: the source has withdrawn what it rested on first.
    """

    language: str
    number: Decimal | None
    volume: Decimal | None = None
    is_lowered: bool = False

    @property
    def position(self) -> Position | None:
        return None if self.number is None else Position(self.volume or ZERO, self.number)


@dataclass(frozen=True, slots=True)
class StoredChapter:
    """A row of `chapters`.

    Attributes:
        is_gone: its upload was found to be withdrawn; the row stays.
    """

    id: int
    manga_id: int
    mangadex_chapter_id: UUID | None
    key: ChapterKey
    volume: str | None
    title: str | None
    external_url: str | None
    pages: int | None
    published_at: datetime | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Title:
    """A tracked title and what is known of its chapters.

    Attributes:
        first_synced_at: in whole seconds, as the API's times are.
        stored: the rows that matter for the uploads that came: theirs, also where they belong to
            other titles, those of the same numbers, and the highest of each language; all where
            numbering restarts, or where the whole feed was read.
        announced_uploads: of those that came, the ones that were announced by their id.
        checked_at: when its whole feed was read last.
    """

    id: int
    mangadex_id: UUID
    title: str
    first_synced_at: datetime
    numbering_restarts: bool
    stored: Sequence[StoredChapter] = ()
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    announced_uploads: frozenset[UUID] = frozenset()
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """A key to be marked as announced; without an event it is marked only."""

    key: ChapterKey
    has_event: bool = True

    @property
    def number(self) -> Decimal | None:
        return self.key.number if self.key.has_number else None


@dataclass(frozen=True, slots=True)
class TitleChanges:
    """What changes in the rows of one title."""

    inserts: list[tuple[ChapterKey, Chapter]] = field(default_factory=list)
    updates: list[tuple[StoredChapter, ChapterKey, Chapter]] = field(default_factory=list)
    removals: list[StoredChapter] = field(default_factory=list)
    gone: list[StoredChapter] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)

    @property
    def uploads(self) -> dict[ChapterKey, Chapter]:
        """Return the uploads that are stored, by their keys."""
        updated = {key: chapter for _, key, chapter in self.updates}
        return updated | dict(self.inserts)


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


def key_of(chapter: Chapter, numbering_restarts: bool) -> ChapterKey:
    """Return the key of the upload; uploads with the same key are one row and one announcement."""
    language = chapter.translated_language
    if chapter.number is None:
        return ChapterKey(language, f"chapter:{chapter.mangadex_chapter_id}", ZERO)
    if not numbering_restarts:
        return ChapterKey(language, "", chapter.number)
    volume = plain_decimal(chapter.volume)
    scope = f"upload:{chapter.mangadex_chapter_id}" if volume is None else f"volume:{shown(volume)}"
    return ChapterKey(language, scope, chapter.number)


def shown(number: Decimal) -> str:
    """Return the number as people write it, without zeros at the end: `5`, `10.5`."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def baseline_of(title: Title, language: str) -> Baseline | None:
    """Return the baseline of the language, or of all languages; None where it is unknown.

    One that was found while the title's numbers were counted the other way is of no use.
    """
    for key in (language, ALL_LANGUAGES):
        baseline = title.baselines.get(key)
        if baseline and (
            baseline.number is None or (baseline.volume is not None) == title.numbering_restarts
        ):
            return baseline
    return None


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


def is_new(chapter: Chapter, key: ChapterKey, title: Title) -> bool:
    """Return whether it is above the baseline, or without a position appeared since.

    What comes back from before the first sync is history, also above a baseline that was lowered.
    """
    position, baseline = key.position(title.numbering_restarts), baseline_of(title, key.language)
    if position is None or (baseline is not None and baseline.is_lowered):
        has_appeared_since = chapter.appeared_at >= title.first_synced_at
        return has_appeared_since and (position is None or is_above_baseline(key, title))
    return is_above_baseline(key, title)


def is_above_baseline(key: ChapterKey, title: Title) -> bool:
    """Return False also where no baseline is known: `needs_baseline` found that none is needed."""
    position = key.position(title.numbering_restarts)
    baseline = baseline_of(title, key.language)
    if baseline is None or position is None:
        return False
    return baseline.position is None or position > baseline.position


def comes_late(title: Title, readable: Iterable[Chapter]) -> bool:
    """Return whether something new is lower than what is stored.

    Either it comes late, or the source has corrected the higher number since.
    """
    taken = {row.key for row in title.stored if row.manga_id == title.id}
    return any(
        key not in taken and is_above_baseline(key, title) and not _is_above_stored(key, title)
        for key in _unchecked_keys(title, readable)
    )


def doubts_baseline(title: Title, readable: Iterable[Chapter]) -> bool:
    """Return whether something appeared since the first sync that is not above its baseline.

    Mostly an old chapter is uploaded again; but it may be that the baseline was withdrawn.
    """
    return any(
        key.position(title.numbering_restarts) is not None
        and baseline_of(title, key.language) is not None
        and not is_above_baseline(key, title)
        for key in _unchecked_keys(title, readable)
    )


def _unchecked_keys(title: Title, readable: Iterable[Chapter]) -> list[ChapterKey]:
    """Return the keys of what appeared since the first sync, and since the feed was read whole."""
    since = title.first_synced_at
    if title.checked_at is not None:
        since = max(since, title.checked_at.replace(microsecond=0))
    stored = {row.mangadex_chapter_id for row in title.stored}
    return [
        key_of(chapter, title.numbering_restarts)
        for chapter in readable
        if chapter.appeared_at >= since and chapter.mangadex_chapter_id not in stored
    ]


def _is_above_stored(key: ChapterKey, title: Title) -> bool:
    position = key.position(title.numbering_restarts)
    rows = (
        row.key.position(title.numbering_restarts)
        for row in title.stored
        if row.manga_id == title.id and row.key.language == key.language and not row.is_gone
    )
    return position is not None and all(each is None or each < position for each in rows)


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
