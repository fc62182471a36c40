"""Pure rules: which chapters are new, and what becomes of the rows that are stored.

chapter key   what one row of `chapters` and one announcement stand for: a number in a language,
              in a volume where numbering restarts, or a single upload that has no number
position      where a number stands in the order of its series; None where it is unknown
baseline      the highest position that was readable before the title was first synced
announcement  of a chapter key: made once, and never again
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from batch.models import Chapter, plain_decimal

ALL_LANGUAGES = "*"  # the baseline of a title that another program had tracked before
ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator wants to hear of."""

    languages: frozenset[str]
    blocked_groups: frozenset[UUID] = frozenset()
    blocked_uploaders: frozenset[UUID] = frozenset()


class Position(NamedTuple):
    """Volume first, then number; the volume is 0 where numbering does not restart."""

    volume: Decimal
    number: Decimal


@dataclass(frozen=True, slots=True)
class ChapterKey:
    """The key of a row: `scope` is '', `volume:V` or `chapter:UUID`, as in `number_scope`."""

    language: str
    scope: str
    number: Decimal


@dataclass(frozen=True, slots=True)
class Baseline:
    """A row of `chapter_baselines`; the number is None where nothing was readable before."""

    language: str
    number: Decimal | None
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StoredChapter:
    """A row of `chapters`."""

    id: int
    manga_id: int
    mangadex_chapter_id: UUID | None
    key: ChapterKey
    volume: str | None
    title: str | None
    external_url: str | None
    pages: int | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Title:
    """A tracked title and what is known of its chapters.

    Attributes:
        first_synced_at: in whole seconds, as the API's times are.
        stored: the rows that matter for the uploads that came: theirs, also where they belong to
            other titles, those of the same numbers, and the highest of each language.
    """

    id: int
    mangadex_id: UUID
    title: str
    first_synced_at: datetime
    numbering_restarts: bool
    stored: Sequence[StoredChapter] = ()
    baselines: Mapping[str, Baseline] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A key to be marked as announced; `is_told` False marks it without telling anybody."""

    key: ChapterKey
    position: Position | None
    number: Decimal | None
    is_told: bool = True


@dataclass(frozen=True, slots=True)
class TitleChanges:
    """What one title's transaction has to do."""

    inserts: list[tuple[ChapterKey, Chapter]] = field(default_factory=list)
    updates: list[tuple[StoredChapter, ChapterKey, Chapter]] = field(default_factory=list)
    removals: list[StoredChapter] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)


def select_readable(chapters: Iterable[Chapter], rules: Rules, now: datetime) -> list[Chapter]:
    """Those that may be news at all, each upload once, in the order of their numbers."""
    by_id = {c.mangadex_chapter_id: c for c in chapters if is_readable(c, rules, now)}
    return sorted(by_id.values(), key=_reading_order)


def is_readable(chapter: Chapter, rules: Rules, now: datetime) -> bool:
    """In a tracked language, its time has come, available, and not from somebody blocked."""
    return (
        chapter.translated_language in rules.languages
        and chapter.readable_at <= now
        and not chapter.is_unavailable
        and chapter.groups.isdisjoint(rules.blocked_groups)
        and chapter.uploader not in rules.blocked_uploaders
    )


def position_of(chapter: Chapter, numbering_restarts: bool) -> Position | None:
    """None without a number, and without a volume where the volume counts first."""
    if chapter.number is None:
        return None
    if not numbering_restarts:
        return Position(ZERO, chapter.number)
    volume = plain_decimal(chapter.volume)
    return None if volume is None else Position(volume, chapter.number)


def key_of(chapter: Chapter, numbering_restarts: bool) -> ChapterKey:
    """Uploads with the same key are one row and one announcement."""
    language = chapter.translated_language
    if chapter.number is None:
        return ChapterKey(language, f"chapter:{chapter.mangadex_chapter_id}", ZERO)
    position = position_of(chapter, numbering_restarts)
    if numbering_restarts and position is not None:
        return ChapterKey(language, f"volume:{shown(position.volume)}", chapter.number)
    return ChapterKey(language, "", chapter.number)


def stored_position(key: ChapterKey, numbering_restarts: bool) -> Position | None:
    """The position of a row."""
    if key.scope.startswith("chapter:"):
        return None
    if not numbering_restarts:
        return Position(ZERO, key.number)
    volume = plain_decimal(key.scope.removeprefix("volume:"))
    return None if volume is None else Position(volume, key.number)


def shown(number: Decimal) -> str:
    """`5`, `10.5`: as people write it, without zeros at the end."""
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def baseline_of(title: Title, language: str) -> Baseline | None:
    """The language's baseline, or that of all languages; None where it is still to be found.

    One that was made while the title's numbers were counted the other way is of no use.
    """
    for key in (language, ALL_LANGUAGES):
        baseline = title.baselines.get(key)
        if baseline and (
            baseline.number is None or (baseline.volume is not None) == title.numbering_restarts
        ):
            return baseline
    return None


def find_baselines(
    title: Title, feed: Iterable[Chapter], languages: Iterable[str]
) -> list[Baseline]:
    """From the whole feed, whoever uploaded it and whether or not it was taken down since."""
    highest: dict[str, Position] = {}
    for chapter in feed:
        position = position_of(chapter, title.numbering_restarts)
        language = chapter.translated_language
        if position and chapter.appeared_at < title.first_synced_at:
            highest[language] = max(position, highest.get(language, position))
    return [_baseline(language, highest.get(language), title) for language in sorted(languages)]


def _baseline(language: str, highest: Position | None, title: Title) -> Baseline:
    if highest is None:
        return Baseline(language, None)
    return Baseline(language, highest.number, highest.volume if title.numbering_restarts else None)


def needs_baseline(title: Title, readable: Iterable[Chapter]) -> bool:
    """Whether one of these can only be judged with a baseline that is not known yet."""
    own = {row.mangadex_chapter_id: row for row in title.stored}
    taken = {row.key for row in title.stored if row.manga_id == title.id}
    for chapter in readable:
        key = key_of(chapter, title.numbering_restarts)
        row = own.get(chapter.mangadex_chapter_id)
        is_open = row is not None or chapter.appeared_at >= title.first_synced_at
        if (
            is_open
            and key not in taken
            and position_of(chapter, title.numbering_restarts) is not None
            and baseline_of(title, chapter.translated_language) is None
        ):
            return True
    return False


def is_new(chapter: Chapter, title: Title) -> bool:
    """Above the baseline; where numbers do not tell, whether it appeared after the first sync."""
    position = position_of(chapter, title.numbering_restarts)
    if position is None:
        return chapter.appeared_at >= title.first_synced_at
    return is_above(position, title, chapter.translated_language)


def is_above(position: Position, title: Title, language: str) -> bool:
    """False also where no baseline is known: `needs_baseline` has found that none is needed."""
    baseline = baseline_of(title, language)
    if baseline is None:
        return False
    return baseline.number is None or position > Position(baseline.volume or ZERO, baseline.number)


def decide_changes(
    title: Title, readable: Sequence[Chapter], gone: frozenset[UUID] = frozenset()
) -> TitleChanges:
    """Decides what happens to a title's rows.

    Args:
        title: as it is stored.
        readable: what `select_readable` left of what came.
        gone: uploads that are known to be readable no more; a row of one is given to another
            upload of the same key, if there is one. Absence alone never removes a row.
    """
    result = TitleChanges()
    came = {chapter.mangadex_chapter_id: chapter for chapter in readable}
    taken: dict[ChapterKey, StoredChapter | None] = {}
    movers: list[tuple[StoredChapter, Chapter]] = []
    for row in sorted(title.stored, key=lambda row: row.id):
        chapter = came.pop(row.mangadex_chapter_id, None) if row.mangadex_chapter_id else None
        if chapter and not _stays(row, chapter, title):
            movers.append((row, chapter))
        elif row.manga_id == title.id:
            taken[row.key] = row
            if chapter and _differs(row, chapter):
                result.updates.append((row, row.key, chapter))
    for row, chapter in movers:
        _move(result, taken, title, row, chapter)
    for chapter in came.values():
        _admit(result, taken, title, chapter, gone)
    return result


def _move(
    result: TitleChanges,
    taken: dict[ChapterKey, StoredChapter | None],
    title: Title,
    row: StoredChapter,
    chapter: Chapter,
) -> None:
    """The number of a stored upload was corrected: its row follows, or joins the one there."""
    key = key_of(chapter, title.numbering_restarts)
    if key in taken:
        result.removals.append(row)
        return
    taken[key] = None
    result.updates.append((row, key, chapter))
    position = position_of(chapter, title.numbering_restarts)
    if position and is_above(position, title, key.language):
        result.announcements.append(
            Announcement(key, position, chapter.number, not _was_told(row, key, title))
        )


def _admit(
    result: TitleChanges,
    taken: dict[ChapterKey, StoredChapter | None],
    title: Title,
    chapter: Chapter,
    gone: frozenset[UUID],
) -> None:
    """An upload without a row: it gets one if it is new and the first of its key."""
    key = key_of(chapter, title.numbering_restarts)
    if key in taken:
        row = taken[key]
        if row and row.mangadex_chapter_id in gone:
            taken[key] = None
            result.updates.append((row, key, chapter))
        return
    if is_new(chapter, title):
        taken[key] = None
        position = position_of(chapter, title.numbering_restarts)
        result.inserts.append((key, chapter))
        result.announcements.append(Announcement(key, position, chapter.number))


def _stays(row: StoredChapter, chapter: Chapter, title: Title) -> bool:
    """Rows from before the languages keep what they share with another (`row:ID`)."""
    key = key_of(chapter, title.numbering_restarts)
    if row.manga_id != title.id:
        return False
    if row.key.scope.startswith("row:"):
        return (row.key.language, row.key.number) == (key.language, key.number)
    return row.key == key


def _was_told(row: StoredChapter, key: ChapterKey, title: Title) -> bool:
    """The same number of the same upload, only its volume came to be known or to count."""
    return (
        row.manga_id == title.id
        and (row.key.language, row.key.number) == (key.language, key.number)
        and "" in (row.key.scope, key.scope)
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
    """By volume and number, those without one last; among uploads of one number the earliest."""
    return (
        chapter.number is None,
        plain_decimal(chapter.volume) or ZERO,
        chapter.number or ZERO,
        chapter.readable_at,
        chapter.mangadex_chapter_id,
    )
