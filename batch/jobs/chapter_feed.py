"""What became readable since the last run, of all tracked titles: `chapter-feed`.

    /chapter by readableAt, newest first, back to the cursor → group by title
    → store + announce, some titles a commit → (baseline → store + announce) title by title
    → cursor                                                                 the last commit

One request is a hundred chapters, whatever the number of titles. The pages come newest first, so
the cursor moves only when everything is stored: a run that is killed repeats and finds the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from batch.cursors import believe, write_cursor
from batch.errors import Banned, RequestRefused, SourceDown
from batch.jobs.chapter_check import DueTitle, store_feed
from batch.jobs.context import JobContext, rules_of
from batch.mangadex.feed import Feed, Recent, read_feed, read_history, read_recent
from batch.mangadex.paging import PAGE
from batch.models import Chapter, Page, Rejected
from batch.rules.chapter_models import Title
from batch.store import due_titles, news, rejections, releases, sync_state
from batch.store.news import News, Terms
from batch.store.titles import read_first_sync
from sql.state.workflows import read_cursor

CHAPTER_FEED = "chapter_feed"
OVERLAP = timedelta(minutes=15)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Leftover:
    """Titles that become due for `chapter-check`.

    Attributes:
        titles: those that could not be read or stored, with the reasons.
        doubtful: those whose baseline may have been withdrawn.
        entries: of their feeds that could not be read.
        is_source_failing: whether the source failed for the last feed that was requested.
    """

    titles: list[Rejected] = field(default_factory=list)
    doubtful: list[UUID] = field(default_factory=list)
    entries: list[Rejected] = field(default_factory=list)
    is_source_failing: bool = False


def run(context: JobContext) -> None:
    """Store and announce what is new.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: the cursor stays, and nothing is lost.
    """
    before = sync_state.read(context.connection, CHAPTER_FEED)
    cursor = believe(read_cursor(before.last_cursor), context.started_at)
    since = cursor - OVERLAP if cursor else read_first_sync(context.connection)
    if since is None:
        log.info("No title is tracked yet")
        return
    recent = _read_recent(context, since, (cursor, before.metadata.get("total")))
    leftover = _store(context, recent.uploads)
    _finish(context, recent, cursor, leftover)


def _now(context: JobContext) -> datetime:
    """Return the run's beginning, by which all titles are judged."""
    return context.api.source_time(context.started_at)


def _read_recent(
    context: JobContext, since: datetime, before: tuple[datetime | None, object]
) -> Recent:
    def ask(offset: int) -> Page:
        context.stop.check()
        page = context.api.list_chapters(
            languages=context.config.languages,
            ratings=context.config.content_ratings,
            limit=PAGE,
            offset=offset,
        )
        context.progress.advance(len(page.entities), offset=offset)
        return page

    context.progress.start("Recent chapters", None)
    return read_recent(ask, since, lambda: _now(context), before)


def _store(context: JobContext, uploads: Mapping[UUID, list[Chapter]]) -> Leftover:
    """Store titles in sets; then, one by one, those whose own feed has to be read first."""
    context.progress.start("Titles with chapters", len(uploads))
    leftover, unjudged, late = Leftover(), [], []
    ids = list(uploads)
    for start in range(0, len(ids), news.MAX_TITLES):
        stored = _store_part(context, uploads, ids[start : start + news.MAX_TITLES], leftover)
        context.summary.manga_seen += stored.titles
        unjudged += stored.unjudged
        late += stored.late
    for title in unjudged:
        if _find_baselines(context, title, leftover):
            late += _store_part(context, uploads, [title.mangadex_id], leftover).late
    for mangadex_id in late:
        _check(context, mangadex_id, uploads[mangadex_id], leftover)
    return leftover


def _store_part(
    context: JobContext,
    uploads: Mapping[UUID, list[Chapter]],
    ids: list[UUID],
    leftover: Leftover,
) -> News:
    context.stop.check()
    part = {key: uploads[key] for key in ids}
    terms = Terms(rules_of(context.config), _now(context), are_recent=True)
    stored = news.store_news(context.connection, part, terms)
    _account(context, stored, leftover, len(part) - len(stored.unjudged) - len(stored.late))
    return stored


def _account(context: JobContext, stored: News, leftover: Leftover, done: int) -> None:
    leftover.titles += stored.rejected
    leftover.doubtful += stored.doubtful
    context.summary.chapters_new += stored.chapters
    context.summary.events += stored.events
    context.progress.advance(done, new=stored.chapters, events=stored.events)


def _check(
    context: JobContext, mangadex_id: UUID, recent: Sequence[Chapter], leftover: Leftover
) -> None:
    """Read a title's whole feed, as `chapter-check` does: what is stored of it may be withdrawn.

    Raises:
        SourceDown: the source failed for two titles in a row.
    """
    api, config, connection = context.api, context.config, context.connection
    feed = _try_feed(
        mangadex_id,
        lambda: read_feed(api, mangadex_id, config.languages, config.content_ratings),
        leftover,
    )
    came = {str(chapter.mangadex_chapter_id) for chapter in recent}
    if feed is None or not came <= feed.ids:  # one that lags behind proves nothing
        terms = Terms(rules_of(config), _now(context))
        stored = news.store_news(connection, {mangadex_id: recent}, terms)
    else:
        due = DueTitle(mangadex_id, context.started_at)
        with connection.transaction():
            stored = store_feed(connection, config, api, due, feed)
    _account(context, stored, leftover, 1)


def _find_baselines(context: JobContext, title: Title, leftover: Leftover) -> bool:
    """Read a title's history and fix its baselines; return whether that was possible.

    Raises:
        SourceDown: the source failed for two titles in a row.
    """
    languages = context.config.languages
    history = _try_feed(
        title.mangadex_id,
        lambda: read_history(context.api, title.mangadex_id, languages, title.first_synced_at),
        leftover,
    )
    if history is None:
        return False
    if not history.chapters:  # at least the chapter that is new must be in it
        reason = "its feed is empty"
    elif not news.fix_baselines(
        context.connection, title, history.chapters, history.rejected, languages
    ):
        leftover.entries += history.rejected
        reason = "its feed cannot be read in full"
    else:
        releases.note_days(context.connection, [(title.id, history.chapters)], _now(context))
        return True
    leftover.titles.append(Rejected(str(title.mangadex_id), reason))
    return False


def _try_feed(mangadex_id: UUID, read: Callable[[], Feed], leftover: Leftover) -> Feed | None:
    try:
        feed = read()
    except (SourceDown, RequestRefused) as exc:
        is_failing = isinstance(exc, SourceDown)
        if isinstance(exc, Banned) or (is_failing and leftover.is_source_failing):
            raise
        leftover.is_source_failing = is_failing
        leftover.titles.append(Rejected(str(mangadex_id), str(exc)))
        return None
    leftover.is_source_failing = False
    return feed


def _finish(
    context: JobContext, recent: Recent, cursor: datetime | None, leftover: Leftover
) -> None:
    """Move the cursor, and make due for `chapter-check` what this run could not do."""
    connection = context.connection
    rejected = [*leftover.titles, *leftover.entries, *recent.rejected]
    readable = [str(c.mangadex_chapter_id) for found in recent.uploads.values() for c in found]
    newest = max(filter(None, (cursor, recent.newest)), default=None)
    with connection.transaction():
        if not recent.is_whole:
            due = due_titles.mark_due(connection)
            log.warning("The API's ceiling hides new chapters; every title is due due=%d", due)
        unfinished = [UUID(item.mangadex_id) for item in leftover.titles]
        due_titles.mark_due(connection, [*unfinished, *leftover.doubtful])
        rejections.clear_chapters(connection, readable)
        rejections.record_chapters(connection, CHAPTER_FEED, rejected, context.started_at)
        if newest is not None:
            # Without a total the next run reads the overlap in full.
            total = None if recent.window.came_twice else recent.window.total
            sync_state.move_cursor(connection, CHAPTER_FEED, write_cursor(newest), total=total)
    context.summary.failed += len(rejected)
