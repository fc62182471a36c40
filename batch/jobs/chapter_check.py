"""Reads the whole feeds of the titles that are due: `chapter-check`.

    due titles → pool → each worker: whole feed → (baseline, once) → store + announce + checked
                                                                     one commit a title

An audit of `chapter-feed`: it finds chapters that were back-dated, corrected, uploaded in place of
others that are gone, or missed for any reason. An empty feed proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from batch.config import Config
from batch.errors import BatchError, RequestRefused
from batch.jobs.context import JobContext, rules_of
from batch.mangadex.client import MangaDex
from batch.mangadex.feed import Feed, read_feed
from batch.models import Rejected
from batch.store import due_titles, news, rejections
from batch.store.news import News, Terms
from batch.workers.worker import WorkerSettings, this_worker
from sql import Connection

CHAPTER_CHECK = "chapter_check"
# Feeds in a row that the source refuses, or does not know: more cannot be about single titles.
MAX_REFUSED, MAX_UNKNOWN = 3, 10


@dataclass(frozen=True, slots=True)
class DueTitle:
    """One title to check; `now` is the run's beginning, by which all titles are judged."""

    mangadex_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """What a worker reports of a title: how many uploads it has, and what was stored.

    Attributes:
        refusal: why the source refused the feed; None if it was read.
        is_unknown: whether the source has no such title, which is about that title alone.
    """

    mangadex_id: UUID
    uploads: int
    news: News
    refusal: str | None = None
    is_unknown: bool = False


def run(context: JobContext) -> None:
    """Check `MANGA_SYNC_CHAPTER_BATCH` due titles, or as many as were asked for.

    Raises:
        SourceDown, SqlError, Stopped: titles that were read are done.
        BatchError: the same; or the source refuses every request.
    """
    limit = None if context.full else context.limit or context.config.chapter_batch
    before = context.started_at - context.config.chapter_interval
    due = due_titles.read_due(context.connection, before, context.started_at, limit)
    context.progress.start("Titles checked", len(due))
    if not due:
        return
    titles = (DueTitle(mangadex_id, context.started_at) for mangadex_id in due)
    with context.workers(len(due)) as workers:
        refused: list[Checked] = []
        for checked in workers.do_all(check_title, titles):
            _account(context, checked)
            refused = [*refused, checked] if checked.refusal else []
            require_few(refused)


def require_few(refused: Sequence[Checked]) -> None:
    """End a run whose feeds are refused one after another: more requests lead to a ban.

    Raises:
        BatchError: there are too many in a row.
    """
    others = [checked for checked in refused if not checked.is_unknown]
    if len(others) >= MAX_REFUSED or len(refused) >= MAX_UNKNOWN:
        raise BatchError(f"the source refuses one feed after another: {refused[-1].refusal}")


def _account(context: JobContext, checked: Checked) -> None:
    summary, stored = context.summary, checked.news
    summary.manga_seen += 1
    summary.chapters_new += stored.chapters
    summary.events += stored.events
    summary.failed += len(stored.rejected)
    context.progress.advance(
        1,
        manga=checked.mangadex_id,
        uploads=checked.uploads,
        new=stored.chapters,
        gone=stored.gone,
    )


def check_title(settings: WorkerSettings, due: DueTitle) -> Checked:
    """Read one feed in a worker, and store what is new in it."""
    worker, config = this_worker(settings), settings.config
    refusal: RequestRefused | None = None
    try:
        feed = read_feed(worker.api, due.mangadex_id, config.languages, config.content_ratings)
    except RequestRefused as exc:
        feed, refusal = Feed(rejected=[Rejected(str(due.mangadex_id), str(exc))]), exc
    with worker.transaction() as connection:
        stored = store_feed(connection, config, worker.api, due, feed)
    return Checked(
        due.mangadex_id,
        len(feed.chapters),
        stored,
        refusal=str(refusal) if refusal else None,
        is_unknown=refusal is not None and refusal.by_api and refusal.status == 404,
    )


def store_feed(
    connection: Connection, config: Config, api: MangaDex, due: DueTitle, feed: Feed
) -> News:
    """Store what is new in a whole feed, in the caller's transaction, and mark it as checked."""
    listed = _listed_uploads(connection, feed)
    terms = Terms(rules_of(config), api.source_time(due.now), listed)
    stored = _store(connection, config, due, feed, terms)
    stored.rejected += feed.rejected
    _record(connection, due, feed, stored, api.not_ahead(due.now))
    return stored


def _store(connection: Connection, config: Config, due: DueTitle, feed: Feed, terms: Terms) -> News:
    """Store what is new; find the title's baseline in the same feed where it is needed."""
    uploads = {due.mangadex_id: feed.chapters}
    stored = news.store_news(connection, uploads, terms)
    for title in stored.unjudged:
        if news.fix_baselines(connection, title, feed.chapters, feed.rejected, config.languages):
            return news.store_news(connection, uploads, terms)
    return stored


def _listed_uploads(connection: Connection, feed: Feed) -> frozenset[UUID] | None:
    """Return all uploads of a feed; None where it may have more, or came empty for any reason."""
    is_whole = feed.is_whole and not feed.has_missed and feed.chapters
    if not (is_whole and rejections.are_known(connection, feed.rejected)):
        return None
    return frozenset(map(UUID, feed.ids))


def _record(
    connection: Connection, due: DueTitle, feed: Feed, stored: News, checked_at: datetime
) -> None:
    """Mark the title as checked, also where it was rejected: others are due too.

    But not if entries of its feed could not be read for the first time.
    """
    entries = [item for item in feed.rejected if item.mangadex_id != str(due.mangadex_id)]
    if rejections.are_known(connection, entries):
        due_titles.mark_checked(connection, due.mangadex_id, checked_at)
    readable = [str(chapter.mangadex_chapter_id) for chapter in feed.chapters]
    is_rejected = str(due.mangadex_id) in {item.mangadex_id for item in stored.rejected}
    usable = [] if is_rejected else [str(due.mangadex_id)]
    rejections.clear_chapters(connection, [*readable, *usable])
    rejections.record_chapters(connection, CHAPTER_CHECK, stored.rejected, due.now)
