"""Lists of chapters: the feed of one title, and the newest chapters of all titles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from batch.config import CONTENT_RATINGS
from batch.mangadex import extract, paging
from batch.mangadex.client import MangaDex
from batch.mangadex.paging import Window
from batch.models import Chapter, Page, Rejected

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Feed:
    """What was read of a title's feed, chapters that were taken down included.

    Attributes:
        rejected: entries that could not be read.
        ids: of all entries.
        is_whole: False if the feed continues beyond the ceiling.
        has_missed: whether entries may have moved past the reader.
    """

    chapters: list[Chapter] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    is_whole: bool = False
    has_missed: bool = False


@dataclass(slots=True)
class Recent:
    """The newest chapters of all titles.

    Attributes:
        uploads: what became readable from `since` on, by title.
        rejected: entries that could not be read.
        newest: readableAt of the newest chapter whose time has come.
        is_whole: False if the ceiling came before `since`.
    """

    uploads: dict[UUID, list[Chapter]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    newest: datetime | None = None
    window: Window = field(default_factory=Window)
    is_whole: bool = True

    def add(self, found: Iterable[Chapter], since: datetime, now: datetime) -> None:
        """Record a page: the last one reaches back beyond `since`; dates may be in the future."""
        for chapter in found:
            if chapter.readable_at > now:
                continue
            self.newest = max(chapter.readable_at, self.newest or chapter.readable_at)
            if chapter.readable_at >= since:
                self.uploads.setdefault(chapter.manga_mangadex_id, []).append(chapter)


def read_feed(
    api: MangaDex, mangadex_id: UUID, languages: Sequence[str], ratings: Sequence[str]
) -> Feed:
    """Return the whole feed, read from its newest end, where new uploads hide no others.

    Args:
        ratings: the feed of a title with another content rating is empty.

    Raises:
        RequestRefused, SourceDown, Stopped.
    """
    feed = Feed()
    for _ in _read_pages(feed, api, mangadex_id, languages, ratings, "desc"):
        pass
    if not feed.is_whole:
        log.warning("The feed continues beyond the API's ceiling manga=%s", mangadex_id)
    return feed


def read_history(
    api: MangaDex, mangadex_id: UUID, languages: Sequence[str], until: datetime
) -> Feed:
    """Return what became readable before `until`, and perhaps more, whatever the rating.

    Raises:
        RequestRefused, SourceDown, Stopped.
    """
    feed = Feed()
    for found in _read_pages(feed, api, mangadex_id, languages, CONTENT_RATINGS, "asc"):
        if any(chapter.readable_at >= until for chapter in found):
            return feed
    if not feed.is_whole:  # read the rest from the other end
        end = read_feed(api, mangadex_id, languages, CONTENT_RATINGS)
        feed.chapters += end.chapters
        feed.rejected += end.rejected
    return feed


def _read_pages(
    feed: Feed,
    api: MangaDex,
    mangadex_id: UUID,
    languages: Sequence[str],
    ratings: Sequence[str],
    direction: str,
) -> Iterator[list[Chapter]]:
    def ask(offset: int) -> Page:
        return api.list_feed(
            mangadex_id,
            languages=languages,
            ratings=ratings,
            limit=paging.FEED_PAGE,
            offset=offset,
            order=("readableAt", direction),
            include_unavailable=True,
        )

    window = Window()
    for page in paging.read(window, ask, paging.FEED_PAGE, f"feed of {mangadex_id}"):
        chapters, rejected = extract.each(extract.chapter, page.entities)
        feed.chapters += chapters
        feed.rejected += rejected
        feed.ids = window.ids
        feed.is_whole, feed.has_missed = window.is_whole, window.has_missed
        yield chapters


def read_recent(
    ask: Callable[[int], Page],
    since: datetime,
    now: Callable[[], datetime],
    before: tuple[datetime | None, object],
) -> Recent:
    """Return what became readable since a moment, read from the newest end back to it.

    Args:
        ask: returns the page of PAGE chapters at an offset.
        now: returns the time to judge by; answers correct it by the source's clock.
        before: newest and total of the last reading. If both are the same again, nothing was
            added, also not late, and one page is enough.

    Raises:
        RequestRefused, SourceDown, Stopped.
    """
    recent = Recent()
    for page in paging.read(recent.window, ask, paging.PAGE, "list of chapters"):
        found, rejected = extract.each(extract.chapter, page.entities)
        recent.rejected += rejected
        recent.add(found, since, now())
        if reaches(found, since) or (recent.newest, page.total) == before:
            return recent
    recent.is_whole = recent.window.is_whole
    return recent


def reaches(found: Sequence[Chapter], since: datetime) -> bool:
    """Return whether a page goes back beyond `since`: its end, or all of it if out of order."""
    moments = [chapter.readable_at for chapter in found]
    if not moments:
        return False
    is_in_order = moments == sorted(moments, reverse=True)
    return (moments[-1] if is_in_order else max(moments)) < since
