"""What the rules of chapters speak of: keys, positions, baselines, and rows. Pure.

chapter key   what one row of `chapters` and one announcement stand for: a number in a language,
              in a volume where numbering restarts, or a single upload that has no number, or
              whose volume is not known yet
position      where a number stands in the order of its series; None where it is unknown
baseline      the highest position that was readable before the title was first synced
announcement  of a chapter key: made once, and never again
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
