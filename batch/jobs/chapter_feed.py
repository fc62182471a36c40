"""What became readable since the last run, of all tracked titles: `chapter-feed`.

    /chapter by readableAt, newest first, back to the cursor → group by title
    → for each title: (baseline, once) → store + announce     one commit for some titles
    → cursor                                                   one commit, the last

One request is a hundred chapters, whatever the number of titles. The pages come newest first, so
the cursor moves only when everything is stored: a run that is killed repeats and finds the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from batch.cursors import believe, read_cursor, write_cursor
from batch.errors import Banned, RequestRefused, SourceDown
from batch.jobs.context import JobContext
from batch.mangadex import extract
from batch.mangadex.feed import read_history
from batch.models import Chapter, Rejected
from batch.rules import chapters as chapter_rules
from batch.rules.chapters import Rules, Title, TitleChanges
from batch.store import chapters, news, sync_state

CHAPTER_FEED = "chapter_feed"
PAGE = 100
LAST_OFFSET = 9_900  # the API pages no further
OVERLAP = timedelta(minutes=15)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Walk:
    """What the pages held.

    Attributes:
        uploads: the chapters that were looked for, by title, of all titles there are.
        newest: readableAt of the newest chapter whose time has come.
        total: how many chapters the list has in all.
        seen: the ids on all pages so far.
        came_twice: whether one was on two pages; then another may have been passed over.
        is_whole: False where the API's ceiling came before the cursor.
    """

    uploads: dict[UUID, list[Chapter]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    newest: datetime | None = None
    total: int = 0
    seen: set[UUID] = field(default_factory=set)
    came_twice: bool = False
    is_whole: bool = True

    def see(self, found: Sequence[Chapter]) -> None:
        ids = {chapter.mangadex_chapter_id for chapter in found}
        self.came_twice |= not self.seen.isdisjoint(ids)
        self.seen |= ids


@dataclass(slots=True)
class Trouble:
    """Titles that the source or the database would not have: they are left to `chapter-check`.

    Attributes:
        entries: what could not be read of their feeds.
    """

    rejected: list[Rejected] = field(default_factory=list)
    entries: list[Rejected] = field(default_factory=list)
    is_source_failing: bool = False


def run(context: JobContext) -> None:
    """Stores and announces what is new.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: the cursor stays, and nothing is lost.
    """
    before = sync_state.read(context.connection, CHAPTER_FEED)
    cursor = believe(read_cursor(before.last_cursor), context.started_at)
    since = cursor - OVERLAP if cursor else chapters.first_sync(context.connection)
    if since is None:
        log.info("No title is tracked yet: there is nothing to look for")
        return
    walk = _walk_back(context, since, (cursor, before.metadata.get("total")))
    trouble = Trouble()
    _store(context, walk, trouble)
    _finish(context, walk, cursor, trouble)


def _walk_back(
    context: JobContext, since: datetime, before: tuple[datetime | None, object]
) -> Walk:
    """Collects the pages back to `since`.

    Args:
        before: the last run's newest and total. Where both are the same again, nothing has come
            and nothing is listed late, so that one page is enough however much came just before.
    """
    walk = Walk()
    context.progress.start("Recent chapters", None)
    for offset in range(0, LAST_OFFSET + 1, PAGE):
        context.stop.check()
        page = context.api.list_chapters(
            languages=context.config.languages,
            ratings=context.config.content_ratings,
            limit=PAGE,
            offset=offset,
        )
        if not page.entities and offset < walk.total:
            raise SourceDown(f"the list of chapters broke off at {offset:,} of {walk.total:,}")
        found, rejected = extract.each(extract.chapter, page.entities)
        walk.total = page.total
        walk.rejected += rejected
        walk.see(found)
        _collect(walk, found, since, _now(context))
        context.progress.advance(len(page.entities), offset=offset)
        is_last = not page.entities or offset + PAGE >= page.total
        if is_last or reaches(found, since) or (walk.newest, walk.total) == before:
            return walk
    walk.is_whole = False
    return walk


def _now(context: JobContext) -> datetime:
    """The run's beginning; all titles are judged alike."""
    return context.api.not_ahead(context.started_at)


def _collect(walk: Walk, found: Iterable[Chapter], since: datetime, now: datetime) -> None:
    """Keeps what is asked for: the last page goes back further, and some dates are to come."""
    for chapter in found:
        if chapter.readable_at > now:
            continue
        walk.newest = max(chapter.readable_at, walk.newest or chapter.readable_at)
        if chapter.readable_at >= since:
            walk.uploads.setdefault(chapter.manga_mangadex_id, []).append(chapter)


def reaches(found: Sequence[Chapter], since: datetime) -> bool:
    """Whether a page goes back beyond `since`: its end, or all of it where it is out of order."""
    moments = [chapter.readable_at for chapter in found]
    if not moments:
        return False
    is_in_order = moments == sorted(moments, reverse=True)
    return (moments[-1] if is_in_order else max(moments)) < since


def _store(context: JobContext, walk: Walk, trouble: Trouble) -> None:
    """Titles with all that is needed first, in sets; then those whose baseline is to be found."""
    rules = news.rules_of(context.config)
    ready: dict[UUID, list[Chapter]] = {}
    needing: list[Title] = []
    titles = chapters.read_titles(context.connection, walk.uploads)
    for title in titles:
        uploads = walk.uploads[title.mangadex_id]
        readable = chapter_rules.select_readable(uploads, rules, _now(context))
        if chapter_rules.needs_baseline(title, readable):
            needing.append(title)
        elif chapter_rules.decide_changes(title, readable) != TitleChanges():
            ready[title.mangadex_id] = uploads
    context.summary.manga_seen = len(titles)
    context.progress.start("Titles with news", len(ready) + len(needing))
    for start in range(0, len(ready), news.MAX_TITLES):
        context.stop.check()
        keys = list(ready)[start : start + news.MAX_TITLES]
        _store_part(context, {key: ready[key] for key in keys}, rules, trouble)
    for title in needing:
        context.stop.check()
        if _find_baseline(context, title, trouble):
            only = {title.mangadex_id: walk.uploads[title.mangadex_id]}
            _store_part(context, only, rules, trouble)


def _store_part(
    context: JobContext, uploads: dict[UUID, list[Chapter]], rules: Rules, trouble: Trouble
) -> None:
    stored = news.store_news(context.connection, uploads, rules, _now(context))
    trouble.rejected += stored.rejected
    context.summary.chapters_new += stored.chapters
    context.summary.events += stored.events
    context.progress.advance(len(uploads), new=stored.chapters, events=stored.events)


def _find_baseline(context: JobContext, title: Title, trouble: Trouble) -> bool:
    """Fetches and fixes a title's baseline; one title that the source fails stops no other.

    Raises:
        SourceDown: it failed two in a row.
    """
    try:
        history = read_history(
            context.api, title.mangadex_id, context.config.languages, title.first_synced_at
        )
    except (SourceDown, RequestRefused) as exc:
        if isinstance(exc, Banned) or (isinstance(exc, SourceDown) and trouble.is_source_failing):
            raise
        trouble.is_source_failing = isinstance(exc, SourceDown)
        trouble.rejected.append(Rejected(str(title.mangadex_id), str(exc)))
        return False
    trouble.is_source_failing = False
    if not history.chapters:  # at least the chapter that has led here must be in it
        trouble.rejected.append(Rejected(str(title.mangadex_id), "its feed came empty"))
        return False
    if not news.are_known(context.connection, history.rejected):
        trouble.entries += history.rejected
        trouble.rejected.append(Rejected(str(title.mangadex_id), "its feed cannot be read in full"))
        return False
    baselines = chapter_rules.find_baselines(title, history.chapters, context.config.languages)
    chapters.save_baselines(context.connection, title.id, baselines)
    return True


def _finish(context: JobContext, walk: Walk, cursor: datetime | None, trouble: Trouble) -> None:
    """The cursor, and what `chapter-check` has to do instead, in one commit."""
    with context.connection.transaction():
        if not walk.is_whole:
            due = chapters.mark_due(context.connection)
            log.warning(
                "More is new than the API shows: every title is due for a check due=%d", due
            )
        chapters.mark_due(context.connection, [UUID(item.mangadex_id) for item in trouble.rejected])
        news.forget_refused(context.connection, _readable_ids(walk))
        refused = [*trouble.rejected, *trouble.entries, *walk.rejected]
        news.record_refused(context.connection, CHAPTER_FEED, refused, context.started_at)
        newest = max(filter(None, (cursor, walk.newest)), default=None)
        if newest is not None:
            cursor_text = write_cursor(newest)
            # Without a total the next run reads the overlap in full.
            total = None if walk.came_twice else walk.total
            sync_state.move_cursor(context.connection, CHAPTER_FEED, cursor_text, total=total)
    context.summary.failed += len(refused)


def _readable_ids(walk: Walk) -> list[str]:
    return [str(c.mangadex_chapter_id) for found in walk.uploads.values() for c in found]
