"""What all kinds of feeds are made of. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from website.rules.texts import plain

_NAMESPACE = UUID("5b2e3b0c-7f0e-4c6c-9b8e-4a1b6f0d2a77")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_ENTRIES = 100


def urn(*parts: object) -> str:
    """Return an id that is always the same for the same parts, and says nothing of them."""
    return f"urn:uuid:{uuid5(_NAMESPACE, '|'.join(map(str, parts)))}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of news; its texts may hold anything.

    Attributes:
        id: never changes.
        url: where it leads.
        authors: whose work it is.
        stored_at: when this site learned of it, where that may be later than `at`.
    """

    id: str
    title: str
    url: str
    text: str
    at: datetime
    authors: tuple[str, ...] = ()
    language: str | None = None
    tags: tuple[str, ...] = ()
    stored_at: datetime | None = None


def names(entry: Entry) -> list[str]:
    """Return the authors' names as they can be shown; formats allow no empty one."""
    return [name for name in map(plain, entry.authors) if name]


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed, newest entries first.

    Attributes:
        id: never changes.
        page: the page that shows the same.
        url: its own address.
    """

    id: str
    title: str
    page: str
    url: str
    entries: Sequence[Entry]

    @property
    def updated_at(self) -> datetime:
        """When its newest entry came in: late ones may be older than what was there already."""
        return max((max(e.at, e.stored_at or e.at) for e in self.entries), default=_EPOCH)

    @property
    def etag(self) -> str:
        """A text that changes with the content, whatever form it is written in."""
        facts = (self.title, self.page, self.url, *map(repr, self.entries))
        return hashlib.sha256("\n".join(facts).encode(errors="replace")).hexdigest()[:32]
