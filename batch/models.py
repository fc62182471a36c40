"""The values of a run, one frozen class for each stage."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

JsonObject = Mapping[str, object]
Order = tuple[str, str]  # a field and `asc` or `desc`

_DECIMAL = re.compile(r"\d{1,8}(\.\d{1,20})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a list endpoint.

    Attributes:
        entities: the elements of `data` that are objects, unchecked inside.
        total: how many there are in all; not capped by the 10,000 ceiling.
        offset: where this page starts.
    """

    entities: list[JsonObject]
    total: int
    offset: int


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """One page that an initial sync asks for.

    Attributes:
        since: only titles created from then on, None for all.
        reread: how often the same page was asked for before.
    """

    order: Order
    since: datetime | None
    offset: int
    limit: int
    reread: int = 0

    @property
    def key(self) -> str:
        """The name of the page in `sync_pages` and as the cursor."""
        since = f"{self.since:%Y-%m-%dT%H:%M:%S}" if self.since else "the beginning"
        again = f" reread {self.reread}" if self.reread else ""
        return f"{self.order[0]} since {since} offset {self.offset} limit {self.limit}{again}"


@dataclass(frozen=True, slots=True)
class ImportedPage:
    """What a stored page held.

    Attributes:
        ids: of its titles, also of those that were rejected.
        total: how many titles the source has from `since` on.
        last_created_at: of its last title; None for an empty page.
    """

    ids: tuple[str, ...]
    total: int
    last_created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Manga:
    """One title as in the columns of `manga`, and the rows that belong to it.

    Attributes:
        titles: all its names, each with its language.
        links: its ids at other sites, such as `("al", "30013")`.
    """

    mangadex_id: UUID
    title: str
    description: str | None
    author: str | None
    status: str | None
    total_chapters: int | None
    cover_url: str | None
    genres: tuple[str, ...]
    content_rating: str
    numbering_restarts: bool
    created_at: datetime
    version: int
    titles: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter upload as the API describes it.

    Attributes:
        number: None if the API has none, or one that is no plain decimal.
        readable_at: from when readers can open it; it may be in the future, or back-dated.
        appeared_at: the later of `readableAt` and `createdAt`; before it, it could not be read.
        groups: scanlation groups; empty for an individual upload.
        group_names: of those of them that have one, in the source's order.
    """

    mangadex_chapter_id: UUID
    manga_mangadex_id: UUID
    translated_language: str
    volume: str | None
    number: Decimal | None
    title: str | None
    external_url: str | None
    pages: int
    readable_at: datetime
    appeared_at: datetime
    groups: frozenset[UUID]
    uploader: UUID | None
    is_unavailable: bool
    group_names: tuple[tuple[UUID, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entity that could not be stored, with the reason an operator reads in `status`."""

    mangadex_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """One row of the outbox.

    Attributes:
        type: the kind of event, such as `new-chapter`.
        dedup_key: at most 200 characters; the same news always has the same key.
        payload: the POST body without `event_id` and `type`.
    """

    type: str
    manga_id: int
    dedup_key: str
    payload: JsonObject


@dataclass(slots=True)
class Summary:
    """What a run did; the JSON line at its end."""

    sync_type: str
    status: str = "completed"
    requests: int = 0
    rate_limited: int = 0
    manga_seen: int = 0
    manga_new: int = 0
    manga_updated: int = 0
    chapters_new: int = 0
    events: int = 0
    failed: int = 0
    seconds: float = 0.0
    extra: dict[str, object] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

    def stop_clock(self) -> None:
        """Set `seconds` to what has passed since the summary was made."""
        self.seconds = round(time.monotonic() - self.began_s, 3)

    def as_json(self) -> dict[str, object]:
        """Return the keys that programs may rely on, and after them those of `extra`."""
        names = [name for name in self.__slots__ if name not in ("extra", "began_s")]
        return {name: getattr(self, name) for name in names} | self.extra


def plain_decimal(text: str | None) -> Decimal | None:
    """Return `"10.5"` as 10.50; None for all that numeric(10,2) cannot hold, as `"12a"`, `"1.001"`.

    Numbers are not rounded: 12.001 and 12.002 would vanish into 12.
    """
    if text is None or not _DECIMAL.fullmatch(text.strip()):
        return None
    number = Decimal(text.strip())
    cut = number.quantize(Decimal("0.01"))
    return cut if cut == number else None
