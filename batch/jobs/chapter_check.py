"""Reads the feeds of the titles that are due, one title after the other: `chapter-check`.

    due titles → pool → each worker: whole feed → (baseline, once) → store + announce + checked
                                                                     one commit a title

The audit behind `chapter-feed`: it finds what was back-dated, corrected, uploaded anew in place of
something that is gone, or missed for any reason. A feed that is empty proves nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from batch.config import Config
from batch.errors import BatchError, RequestRefused
from batch.jobs.context import JobContext
from batch.jobs.tasks import run_tasks
from batch.mangadex.feed import Feed, read_feed
from batch.models import Rejected
from batch.rules import chapters as chapter_rules
from batch.rules.chapters import Title
from batch.store import chapters, news
from batch.store.news import News
from batch.workers.worker import WorkerSettings, this_worker
from sql import Connection

CHAPTER_CHECK = "chapter_check"
# Feeds in a row that the source would not show: then it is not about these titles.
MAX_REFUSED, MAX_UNKNOWN = 3, 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One title to look at; `now` is the run's, so that all titles are judged alike."""

    mangadex_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """What a worker tells of a title: how many uploads it has, and what came of them.

    Attributes:
        refusal: why the source would not show the feed; None where it was read.
        is_unknown: whether it says that it has no such title, which is about that title alone.
    """

    mangadex_id: UUID
    uploads: int
    gone: int
    news: News
    refusal: str | None = None
    is_unknown: bool = False


def run(context: JobContext) -> None:
    """Checks `MANGA_SYNC_CHAPTER_BATCH` due titles, or as many as were asked for.

    Raises:
        SourceDown, SqlError, Stopped: titles that were read are done.
        BatchError: the same; or the source refuses whatever it is asked.
    """
    limit = None if context.full else context.limit or context.config.chapter_batch
    before = context.started_at - context.config.chapter_interval
    due = chapters.read_due(context.connection, before, limit)
    context.progress.start("Titles checked", len(due))
    if not due:
        return
    checks = (Check(mangadex_id, context.started_at) for mangadex_id in due)
    with context.workers(len(due)) as workers:
        refused: list[Checked] = []
        for checked in run_tasks(context, workers, check_title, checks):
            _account(context, checked)
            refused = [*refused, checked] if checked.refusal else []
            require_sense(refused)


def require_sense(refused: Sequence[Checked]) -> None:
    """Ends a run in which nothing but refusals comes: to go on asking is how one gets banned.

    Raises:
        BatchError: so many in a row are no matter of single titles.
    """
    others = [checked for checked in refused if not checked.is_unknown]
    if len(others) >= MAX_REFUSED or len(refused) >= MAX_UNKNOWN:
        raise BatchError(f"the source refuses one feed after the other: {refused[-1].refusal}")


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
        gone=checked.gone,
    )


def check_title(settings: WorkerSettings, check: Check) -> Checked:
    """In a worker: reads one feed and stores what it tells."""
    worker, config = this_worker(settings), settings.config
    refusal: RequestRefused | None = None
    try:
        feed = read_feed(worker.api, check.mangadex_id, config.languages, config.content_ratings)
    except RequestRefused as exc:
        feed, refusal = Feed(rejected=[Rejected(str(check.mangadex_id), str(exc))]), exc
    now = worker.api.not_ahead(check.now)
    with worker.transaction() as connection:
        gone = _prepare(connection, config, check, feed, now)
        stored = news.store_news(
            connection,
            {check.mangadex_id: feed.chapters},
            news.rules_of(config),
            now,
            gone,
        )
        stored.rejected += feed.rejected
        _note(connection, check, feed, stored)
    return Checked(
        check.mangadex_id,
        len(feed.chapters),
        len(gone),
        stored,
        refusal=str(refusal) if refusal else None,
        is_unknown=refusal is not None and refusal.by_api and refusal.status == 404,
    )


def _prepare(
    connection: Connection, config: Config, check: Check, feed: Feed, now: datetime
) -> frozenset[UUID]:
    """Fixes the title's baseline if it is needed; returns its stored uploads that are gone.

    What cannot be read might be the baseline: without one nothing is new, until the next run.
    """
    titles = chapters.read_titles(connection, {check.mangadex_id: feed.chapters})
    if not titles:
        return frozenset()
    title, rules = titles[0], news.rules_of(config)
    readable = chapter_rules.select_readable(feed.chapters, rules, now)
    if chapter_rules.needs_baseline(title, readable) and news.are_known(connection, feed.rejected):
        baselines = chapter_rules.find_baselines(title, feed.chapters, config.languages)
        chapters.save_baselines(connection, title.id, baselines)
    return find_gone(title, feed)


def find_gone(title: Title, feed: Feed) -> frozenset[UUID]:
    """Stored uploads that were taken down, or are missing from a feed that was read in full."""
    stored = {row.mangadex_chapter_id for row in title.stored if row.mangadex_chapter_id}
    listed = {c.mangadex_chapter_id for c in feed.chapters}
    taken_down = {c.mangadex_chapter_id for c in feed.chapters if c.is_unavailable}
    is_read = feed.is_whole and feed.chapters and not feed.rejected
    missing = stored - listed if is_read else set()
    return frozenset(stored & taken_down | missing)


def _note(connection: Connection, check: Check, feed: Feed, stored: News) -> None:
    """Marks the title as checked, also where it was refused: others are due too.

    Not yet where entries of its feed could not be read for the first time.
    """
    entries = [item for item in feed.rejected if item.mangadex_id != str(check.mangadex_id)]
    if news.are_known(connection, entries):
        chapters.mark_checked(connection, check.mangadex_id, check.now)
    readable = [str(chapter.mangadex_chapter_id) for chapter in feed.chapters]
    usable = [] if stored.rejected else [str(check.mangadex_id)]
    news.forget_refused(connection, [*readable, *usable])
    news.record_refused(connection, CHAPTER_CHECK, stored.rejected, check.now)
