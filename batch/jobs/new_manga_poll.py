"""Titles created since the last poll: `new-manga-poll`.

    list by createdAt, oldest first → extract → unknown ones → store + events + cursor
                                                                        one commit a page

The cursor is the newest createdAt that was read, so it never passes a page that is not stored. Each
run reads a little again, for titles that are listed late; known ones are skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from batch.cursors import believe, write_cursor
from batch.jobs.context import JobContext
from batch.mangadex import extract, paging
from batch.mangadex.paging import Window
from batch.models import Manga, Page, Rejected
from batch.rules import events
from batch.rules.polling import OVERLAP, OVERLAP_TITLES, SECOND, PollPosition
from batch.store import outbox, rejections, sync_state
from batch.store.import_pages import INITIAL_SYNC
from batch.store.titles import read_first_sync, read_stored, store_manga, take_turn
from readers.lists import retrying
from sql.state.workflows import FOUNDED, read_cursor

NEW_MANGA_POLL = "new_manga_poll"
MOST_AHEAD = timedelta(days=1)  # of a moment by this host's clock only

log = logging.getLogger(__name__)


def run(context: JobContext) -> None:
    """Import every title that is not known.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: what came before is stored, up to the cursor.
    """
    context.progress.start("New titles", None)
    _retry_rejected(context)
    position = find_position(context)
    while not _read_window(context, position):
        pass
    _match_lists(context)


def _match_lists(context: JobContext) -> None:
    """Match again what readers' lists hold; a new title may be what they name."""
    count = retrying.retry_all(context.connection, context.stop.check)
    if count:
        log.info("Entries of lists matched count=%d", count)


def _read_window(context: JobContext, position: PollPosition) -> bool:
    """Import the titles from `position.since` on; return False if the list continues.

    It continues from a later date if the API's ceiling comes before its end, or from its beginning
    if so many known titles are gone that it is unknown which to skip.
    """
    window = Window(start=position.skipped)
    newest = position.since
    for page in paging.read_again(
        window, lambda offset: _ask(context, position, offset), paging.PAGE, "list of titles"
    ):
        if position.skipped and page.total < position.skipped + OVERLAP_TITLES // 2:
            position.skipped = 0
            return False
        context.progress.expect(page.total)
        newest = max(newest, _store_page(context, position, page))
    if not window.is_whole:
        position.since, position.skipped = max(newest, position.since + SECOND), 0
    return window.is_whole


def _ask(context: JobContext, position: PollPosition, offset: int) -> Page:
    context.stop.check()
    return context.api.list_manga(
        order=("createdAt", "asc"),
        limit=paging.PAGE,
        offset=offset,
        ratings=context.config.content_ratings,
        # Whether the bound is part of the answer is not documented.
        created_since=position.since - SECOND,
    )


def find_position(context: JobContext) -> PollPosition:
    """Return where the last poll ended; for the first poll the moment of the initial sync."""
    before = sync_state.read(context.connection, NEW_MANGA_POLL)
    stored = read_cursor(before.last_cursor)
    cursor = believe(stored, context.started_at)
    floor = read_cursor(before.metadata.get("floor"))
    if cursor is None:
        start = _first_moment(context).replace(microsecond=0)
        log.info("First poll since=%s", write_cursor(start))
        return PollPosition(start, start, start)
    since = min(cursor, read_cursor(before.metadata.get("next_since")) or cursor - OVERLAP)
    skipped = before.metadata.get("next_skipped") if cursor == stored else 0
    most = paging.MAX_WINDOW - 2 * paging.PAGE
    return PollPosition(
        floor,
        cursor,
        max(since, floor) if floor else since,
        min(max(skipped, 0), most) if isinstance(skipped, int) else 0,
    )


def _first_moment(context: JobContext) -> datetime:
    initial = sync_state.read(context.connection, INITIAL_SYNC)
    adopted_at = sync_state.read_adopted_at(context.connection)
    known = (initial.last_success_at, initial.last_run_at, adopted_at)
    # Another program may have left dates that tell nothing, such as 0001-01-01 or infinity.
    possible = (each for each in known if each and FOUNDED <= each <= context.started_at)
    moment = read_cursor(initial.metadata.get("started_at")) or next(possible, context.started_at)
    # The first title's moment is earlier only where this host's clock was ahead of the source's.
    first = read_first_sync(context.connection, after=moment - MOST_AHEAD)
    return min(moment, first) if first else moment


def _store_page(context: JobContext, position: PollPosition, page: Page) -> datetime:
    """Store a page, its events and the cursor; return the newest createdAt of the page."""
    mangas, unreadable = extract.each(extract.manga, page.entities)
    now = context.api.not_ahead(datetime.now(UTC))
    # A source whose clock is ahead must not lead the cursor past what it lists later.
    moments = {manga.mangadex_id: min(manga.created_at, now) for manga in mangas}
    position.add(moments)
    floor = position.floor
    wanted = [manga for manga in mangas if floor is None or manga.created_at >= floor]
    with context.connection.transaction():
        _store_unknown(context, wanted, unreadable, len(page.entities))
        sync_state.move_cursor(
            context.connection,
            NEW_MANGA_POLL,
            write_cursor(position.cursor),
            next_since=write_cursor(position.next_since),
            next_skipped=position.next_skipped,
            floor=write_cursor(floor) if floor else None,
        )
    return max(moments.values(), default=position.since)


def _retry_rejected(context: JobContext) -> None:
    """Ask once more for titles that could not be stored: the cursor has passed them."""
    connection = context.connection
    due = rejections.read_due(connection, NEW_MANGA_POLL, context.started_at)
    for start in range(0, len(due), paging.PAGE):
        ids = due[start : start + paging.PAGE]
        page = context.api.list_manga(ids=ids, limit=len(ids))
        mangas, unreadable = extract.each(extract.manga, page.entities)
        with connection.transaction():
            known = _store_unknown(context, mangas, unreadable, len(page.entities))
            rejections.clear(connection, NEW_MANGA_POLL, map(str, known))


def _store_unknown(
    context: JobContext, mangas: Sequence[Manga], unreadable: Sequence[Rejected], seen: int
) -> set[UUID]:
    """Store and announce the titles that are not known; return those that are known now."""
    connection, summary, now = context.connection, context.summary, datetime.now(UTC)
    take_turn(connection)
    known = set(read_stored(connection, [manga.mangadex_id for manga in mangas]))
    new = {m.mangadex_id: m for m in mangas if m.mangadex_id not in known}
    api = context.api
    result = store_manga(connection, list(new.values()), api.not_ahead(now), api.source_time(now))
    added = outbox.add_events(
        connection,
        [events.manga_event(i, new[key]) for key, i in result.inserted.items()],
    )
    rejected = [*unreadable, *result.rejected]
    rejections.record(connection, NEW_MANGA_POLL, rejected, now)
    summary.manga_seen += seen
    summary.manga_new += len(result.inserted)
    summary.events += added
    summary.failed += len(rejected)
    context.progress.advance(seen, new=len(result.inserted), failed=len(rejected))
    return known | set(result.inserted)
