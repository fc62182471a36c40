"""What a row of the New page says of its chapters. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from website.rules.numbers import describe_chapters
from website.rules.sites import Place, chapter_place

MAX_GROUPS = 3
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of a row.

    Attributes:
        volume: None unless the title's numbering restarts with each volume.
        number: None where it has none.
        groups: ids and names of those whose work it is.
    """

    volume: str | None
    number: Decimal | None
    language: str
    published_at: datetime
    mangadex_id: UUID | None
    external_url: str | None
    is_unread: bool
    groups: tuple[tuple[UUID, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """The chapters of a row in one language.

    Attributes:
        place: where the first one that is not read is read, else the first one.
        groups: at most MAX_GROUPS of those whose work they are; `groups_left_out` counts the rest.
        came_at: when the newest one came.
    """

    language: str
    numbers: str
    place: Place | None
    groups: tuple[tuple[UUID, str], ...]
    groups_left_out: int
    came_at: datetime
    is_unread: bool


def reading_order(chapter: Chapter) -> tuple[Decimal, str, bool, Decimal]:
    """Return a sort key: by volume and number, those without one last."""
    volume = chapter.volume or ""
    number = Decimal(volume) if _NUMBER.fullmatch(volume) else Decimal(0)
    return number, volume, chapter.number is None, chapter.number or Decimal(0)


def lines_of(chapters: Sequence[Chapter]) -> list[Line]:
    """Return one line a language, the one that came last first; chapters come lowest first."""
    by_language: dict[str, list[Chapter]] = {}
    for chapter in chapters:
        by_language.setdefault(chapter.language, []).append(chapter)
    lines = [_line(language, found) for language, found in by_language.items()]
    return sorted(lines, key=lambda line: line.came_at, reverse=True)


def _line(language: str, chapters: list[Chapter]) -> Line:
    groups = dict(group for chapter in chapters for group in chapter.groups)
    first = next((c for c in chapters if c.is_unread), chapters[0])
    return Line(
        language=language,
        numbers=describe_chapters((c.volume, c.number) for c in chapters),
        place=chapter_place(first.external_url, first.mangadex_id),
        groups=tuple(groups.items())[:MAX_GROUPS],
        groups_left_out=max(0, len(groups) - MAX_GROUPS),
        came_at=max(c.published_at for c in chapters),
        is_unread=any(c.is_unread for c in chapters),
    )
