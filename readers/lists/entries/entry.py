"""Entries of a list, as all formats give them: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

from readers.lists.entries.sites import CODES
from readers.lists.entries.titles import clean, normalise

# From the least to the most: a status never falls back. Dropped is less than reading, so that an
# old list does not make a title dropped that is being read here.
STATUSES = ("plan_to_read", "dropped", "reading", "completed")
MOST_PROGRESS = 99_999_999
_MOST_OTHER_TITLES = 20

# Words of all formats, in lower case with `_` for blanks and hyphens.
_STATUS_WORDS = {
    **dict.fromkeys(("plan_to_read", "planning", "planned", "wish", "want_to_read"), STATUSES[0]),
    **dict.fromkeys(("dropped", "unfinished", "won't_read"), "dropped"),
    **dict.fromkeys(
        ("reading", "current", "on_hold", "onhold", "paused", "stalled", "hold", "re_reading"),
        "reading",
    ),
    **dict.fromkeys(("rereading", "repeating"), "reading"),
    **dict.fromkeys(("completed", "complete", "read"), "completed"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One title of a reader's list.

    Attributes:
        status: one of `STATUSES`; None where the list has none.
        progress: the last chapter read; None where the list does not say.
        legacy_id: MangaDex's number of before 2021.
        ids: at other sites, by the codes of `sites`.
        is_oneshot: a series may have the same name, so that the name alone is not enough.
        note: what of the entry could not be read.
    """

    title: str = ""
    other_titles: tuple[str, ...] = ()
    author: str = ""
    status: str | None = None
    progress: Decimal | None = None
    mangadex_id: UUID | None = None
    legacy_id: int | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    listed_at: datetime | None = None
    is_oneshot: bool = False
    note: str = ""

    @property
    def key(self) -> str:
        """What makes the same entry of the same reader one; empty if it says nothing at all."""
        if self.mangadex_id is not None:
            return f"mangadex:{self.mangadex_id}"
        if self.legacy_id is not None:
            return f"legacy:{self.legacy_id}"
        for site in CODES:
            if site in self.ids:
                return f"{site}:{self.ids[site]}"
        return f"title:{name}" if (name := normalise(self.title)) else ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """What stands in a list but is no entry of it, and why."""

    why: str


def make_entry(
    *,
    title: object = "",
    other_titles: Iterable[object] = (),
    author: object = "",
    status: object = None,
    progress: object = None,
    mangadex_id: UUID | None = None,
    legacy_id: int | None = None,
    ids: Mapping[str, str | None] | None = None,
    listed_at: datetime | None = None,
    is_oneshot: bool = False,
) -> Entry:
    """Return an entry of values as they stand in a file; what cannot be read becomes a note."""
    own_status, status_note = _read_status(status)
    own_progress, progress_note = _read_progress(progress)
    names = list(dict.fromkeys(filter(None, map(clean, (title, *other_titles)))))
    return Entry(
        title=names[0] if names else "",
        other_titles=tuple(names[1 : _MOST_OTHER_TITLES + 1]),
        author=clean(author),
        status=own_status,
        progress=own_progress,
        mangadex_id=mangadex_id,
        legacy_id=legacy_id,
        ids={site: id for site, id in (ids or {}).items() if id},
        listed_at=listed_at,
        is_oneshot=is_oneshot,
        note="; ".join(filter(None, (status_note, progress_note))),
    )


def _read_status(value: object) -> tuple[str | None, str]:
    text = clean(value)
    word = text.lower().replace("-", "_").replace(" ", "_")
    if not word or word in _STATUS_WORDS:
        return _STATUS_WORDS.get(word), ""
    return None, f"its status {text[:40]!r} is not known, and was left out"


def _read_progress(value: object) -> tuple[Decimal | None, str]:
    """Return a chapter's number with two decimals: what was a float comes as 717.70001."""
    text = clean(str(value)) if isinstance(value, str | int | float | Decimal) else ""
    if not text:
        return None, ""
    try:
        number = Decimal(text)
        if 0 <= number <= MOST_PROGRESS:
            return number.quantize(Decimal("0.01")), ""
    except InvalidOperation:
        pass
    return None, f"its progress {text[:40]!r} is no chapter number, and was left out"


def merge(first: Entry, second: Entry) -> Entry:
    """Return two entries of one title as one: the higher status and progress, and what both know.

    They may stand under two language sources, or in several lists of one file.
    """
    return replace(
        first,
        title=first.title or second.title,
        other_titles=tuple(dict.fromkeys((*first.other_titles, *second.other_titles))),
        author=first.author or second.author,
        status=max(first.status, second.status, key=rank),
        progress=max(first.progress, second.progress, key=lambda n: -1 if n is None else n),
        legacy_id=first.legacy_id or second.legacy_id,
        ids={**second.ids, **first.ids},
        listed_at=min(filter(None, (first.listed_at, second.listed_at)), default=None),
        is_oneshot=first.is_oneshot and second.is_oneshot,
        note=first.note or second.note,
    )


def rank(status: str | None) -> int:
    """Return how far a status is; -1 for none."""
    return STATUSES.index(status) if status is not None else -1


def moment(seconds: object) -> datetime | None:
    """Return a UNIX time from a file; None for what is none, such as 0."""
    if not isinstance(seconds, int | float) or not 0 < seconds < 4_000_000_000:
        return None
    return datetime.fromtimestamp(seconds, UTC)
