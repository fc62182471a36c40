"""One title's own feed: all that was ever uploaded for it in some languages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from batch.config import CONTENT_RATINGS
from batch.errors import SourceDown
from batch.mangadex import extract
from batch.mangadex.client import MangaDex
from batch.models import Chapter, Page, Rejected

PAGE = 500
LAST_OFFSET = 9_500  # the API pages no further

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Feed:
    """What was read of a feed; chapters that were taken down are part of it.

    Attributes:
        is_whole: False where the API's ceiling has cut it off.
    """

    chapters: list[Chapter] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    is_whole: bool = False

    def take_in(self, page: Page) -> list[Chapter]:
        chapters, rejected = extract.each(extract.chapter, page.entities)
        self.chapters += chapters
        self.rejected += rejected
        self.is_whole = page.offset + PAGE >= page.total
        return chapters


def read_feed(
    api: MangaDex, mangadex_id: UUID, languages: Sequence[str], ratings: Sequence[str]
) -> Feed:
    """The whole feed. The newest come first, so that what is uploaded meanwhile hides nothing.

    Args:
        ratings: the feed of a title with another content rating is empty.

    Raises:
        RequestRefused, SourceDown, Stopped.
    """
    feed = Feed()
    for page in _pages(api, mangadex_id, languages, ratings, "desc"):
        feed.take_in(page)
    if not feed.is_whole:
        log.warning("The API shows no more of this feed manga=%s", mangadex_id)
    return feed


def read_history(
    api: MangaDex, mangadex_id: UUID, languages: Sequence[str], until: datetime
) -> Feed:
    """What became readable before `until`, and perhaps a little more, whatever the rating.

    Raises:
        RequestRefused, SourceDown, Stopped.
    """
    feed = Feed()
    for page in _pages(api, mangadex_id, languages, CONTENT_RATINGS, "asc"):
        if any(chapter.readable_at >= until for chapter in feed.take_in(page)):
            return feed
    if not feed.is_whole:
        # So long a history ends beyond the ceiling: its end can be seen from the other side.
        end = read_feed(api, mangadex_id, languages, CONTENT_RATINGS)
        feed.chapters += end.chapters
        feed.rejected += end.rejected
    return feed


def _pages(
    api: MangaDex,
    mangadex_id: UUID,
    languages: Sequence[str],
    ratings: Sequence[str],
    direction: str,
) -> Iterator[Page]:
    total = 0
    for offset in range(0, LAST_OFFSET + 1, PAGE):
        page = api.list_feed(
            mangadex_id,
            languages=languages,
            ratings=ratings,
            limit=PAGE,
            offset=offset,
            order=("readableAt", direction),
            include_unavailable=True,
        )
        if not page.entities and offset < total:
            raise SourceDown(f"the feed of {mangadex_id} broke off at {offset:,} of {total:,}")
        yield page
        total = page.total
        if offset + PAGE >= total:
            return
