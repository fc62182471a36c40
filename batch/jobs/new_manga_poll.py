"""Titles created since the last poll: `new-manga-poll`.

    list by createdAt, oldest first → extract → unknown ones → store + events + cursor
                                                                        one commit a page

The cursor is the newest createdAt that was read, so it never passes a page that is not stored. A
little is read again each time, for titles that come to be listed late; known ones are skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from batch.cursors import believe, read_cursor, write_cursor
from batch.errors import SourceDown
from batch.jobs.context import JobContext
from batch.mangadex import extract
from batch.models import Manga, Page, Rejected, Summary
from batch.rules import events
from batch.store import outbox, sync_state
from batch.store.titles import read_manga, store_manga, take_turn

NEW_MANGA_POLL = "new_manga_poll"
PAGE = 100
LAST_OFFSET = 9_900  # the API pages no further
OVERLAP = timedelta(hours=1)
OVERLAP_TITLES = 50  # half a page: the overlap alone never needs a second request
SECOND = timedelta(seconds=1)
MAX_REREADS = 3  # of a list whose order changes while it is read

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Place:
    """How far the poll has come.

    Attributes:
        floor: nothing older is imported: the moment of the initial sync.
        cursor: createdAt of the newest title that was read.
        since: where the list begins.
        skipped: how many known titles at the beginning of the list need not be read again.
        listed: createdAt of all titles that were read.
        seen: the ids of the titles of this list.
        came_twice: whether one of them was on two pages.
    """

    floor: datetime | None
    cursor: datetime
    since: datetime
    skipped: int = 0
    listed: list[datetime] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    came_twice: bool = False

    def see(self, ids: Sequence[str]) -> None:
        self.came_twice |= not self.seen.isdisjoint(ids)
        self.seen.update(ids)

    def has_missed(self, total: int) -> bool:
        """Titles of one second may change places between two pages: one comes twice, one never."""
        return self.came_twice and self.skipped + len(self.seen) < total

    def begin_anew(self, since: datetime) -> None:
        self.since, self.skipped, self.came_twice = since, 0, False
        self.seen.clear()

    def move_to(self, moments: Iterable[datetime]) -> None:
        self.listed = sorted([*self.listed, *moments])
        self.cursor = max([self.cursor, *self.listed[-1:]])

    @property
    def next_since(self) -> datetime:
        """Where the next poll begins: an hour back, or less where titles come quickly."""
        enough = self.listed[-OVERLAP_TITLES:]
        recent = enough[0] if len(enough) == OVERLAP_TITLES else self.since
        return max(self.cursor - OVERLAP, recent)

    @property
    def next_skipped(self) -> int:
        """Titles of one second cannot be told apart by a date: all but the last are left out."""
        before = self.skipped if self.next_since == self.since else 0
        again = before + sum(moment >= self.next_since - SECOND for moment in self.listed)
        return min(again - OVERLAP_TITLES, LAST_OFFSET - PAGE) if again > PAGE else 0


@dataclass(slots=True)
class Reading:
    """Where in its list the poll is.

    Attributes:
        offset: of the page that comes next.
        total: what the page before told.
        rereads: how often the list was begun again.
        has_shrunk: whether a title went while it was read, and moved another past the reader.
        is_whole: whether it goes on to the end, also where nothing is missing any more.
    """

    offset: int
    total: int = 0
    rereads: int = 0
    has_shrunk: bool = False
    is_whole: bool = True

    @property
    def is_over(self) -> bool:
        return self.offset >= self.total

    def turn(self, total: int) -> None:
        """A page was read that told of so many titles."""
        self.has_shrunk |= total < self.total
        self.offset, self.total = self.offset + PAGE, total

    def begin_again(self, offset: int) -> None:
        self.is_whole, self.has_shrunk = self.has_shrunk, False
        self.offset, self.rereads = offset, self.rereads + 1


def run(context: JobContext) -> None:
    """Imports every title that is not known.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: what came before is stored, up to the cursor.
    """
    context.progress.start("New titles", None)
    _retry_refused(context)
    place = find_place(context)
    reading, is_read = Reading(place.skipped), False
    while not is_read:
        context.stop.check()
        page = _ask(context, place, reading.offset)
        if place.skipped and page.total < place.skipped + OVERLAP_TITLES // 2:
            reading.offset = place.skipped = 0  # many are gone: nobody knows which
            continue
        if not page.entities and not reading.is_over:
            raise SourceDown(
                f"the list of titles broke off at {reading.offset:,} of {reading.total:,}"
            )
        context.progress.expect(page.total)
        newest = _take_in(context, place, page)
        reading.turn(page.total)
        is_read = _is_read(place, reading, newest)


def _ask(context: JobContext, place: Place, offset: int) -> Page:
    return context.api.list_manga(
        order=("createdAt", "asc"),
        limit=PAGE,
        offset=offset,
        ratings=context.config.content_ratings,
        # Nobody says whether the bound is part of the answer.
        created_since=place.since - SECOND,
    )


def _is_read(place: Place, reading: Reading, newest: datetime) -> bool:
    """Whether that was the last page; if not, `reading` and `place` tell which one comes next."""
    has_missed = place.has_missed(reading.total)
    if reading.is_over and (has_missed or reading.has_shrunk):
        if reading.rereads == MAX_REREADS:
            log.warning("The list of titles changes whenever it is read; the next poll goes on")
            return True
        reading.begin_again(place.skipped)
        return False
    if reading.is_over or (reading.rereads and not has_missed and not reading.is_whole):
        return True
    if reading.offset > LAST_OFFSET:
        place.begin_anew(max(newest, place.since + SECOND))
        reading.offset = reading.total = 0
    return False


def find_place(context: JobContext) -> Place:
    """Where the last poll ended; for the first one the moment of the initial sync."""
    before = sync_state.read(context.connection, NEW_MANGA_POLL)
    told = read_cursor(before.last_cursor)
    cursor = believe(told, context.started_at)
    floor = read_cursor(before.metadata.get("floor"))
    if cursor is None:
        start = _first_moment(context).replace(microsecond=0)
        log.info("First poll since=%s", write_cursor(start))
        return Place(start, start, start)
    since = min(cursor, read_cursor(before.metadata.get("next_since")) or cursor - OVERLAP)
    skipped = before.metadata.get("next_skipped") if cursor == told else 0
    return Place(
        floor,
        cursor,
        max(since, floor) if floor else since,
        skipped if isinstance(skipped, int) and 0 < skipped < LAST_OFFSET else 0,
    )


def _first_moment(context: JobContext) -> datetime:
    initial = sync_state.read(context.connection, "initial_sync")
    started_at = read_cursor(initial.metadata.get("started_at"))
    adopted = context.connection.execute(
        "SELECT value ->> 'adopted_at' FROM mangahub_meta WHERE key = 'adoption'"
    ).fetchone()
    moment = (
        started_at
        or initial.last_success_at
        or initial.last_run_at
        or (read_cursor(adopted[0]) if adopted else None)
        or context.started_at
    )
    # The first title's moment is earlier only where this host's clock was ahead of the source's.
    row = context.connection.execute(
        "SELECT min(first_synced_at) FROM manga WHERE first_synced_at > %s - interval '1 day'",
        [moment],
    ).fetchone()
    return min(moment, row[0]) if row and row[0] else moment


def _take_in(context: JobContext, place: Place, page: Page) -> datetime:
    """Stores a page, its events and the cursor; returns the newest createdAt of the page."""
    mangas, rejected = extract.each(extract.manga, page.entities)
    now = context.api.not_ahead(datetime.now(UTC))
    # A source whose clock is ahead must not lead the cursor past what it lists later.
    moments = {str(manga.mangadex_id): min(manga.created_at, now) for manga in mangas}
    wanted = [manga for manga in mangas if place.floor is None or manga.created_at >= place.floor]
    place.move_to(moments[key] for key in moments.keys() - place.seen)
    place.see([*moments, *(item.mangadex_id for item in rejected)])
    with context.connection.transaction():
        _store_unknown(context, wanted, rejected, len(page.entities))
        sync_state.move_cursor(
            context.connection,
            NEW_MANGA_POLL,
            write_cursor(place.cursor),
            next_since=write_cursor(place.next_since),
            next_skipped=place.next_skipped,
            floor=write_cursor(place.floor) if place.floor else None,
        )
    return max(moments.values(), default=place.since)


def _retry_refused(context: JobContext) -> None:
    """Asks once more for titles that could not be stored: the cursor has passed them."""
    due = sync_state.due_rejected(context.connection, NEW_MANGA_POLL, context.started_at)
    refused = [UUID(text) for text in due if extract.is_id(text)]
    for start in range(0, len(refused), PAGE):
        ids = refused[start : start + PAGE]
        page = context.api.list_manga(ids=ids, limit=len(ids))
        mangas, rejected = extract.each(extract.manga, page.entities)
        with context.connection.transaction():
            done = _store_unknown(context, mangas, rejected, len(page.entities))
            sync_state.clear_rejected(
                context.connection, NEW_MANGA_POLL, [str(key) for key in done]
            )


def _store_unknown(
    context: JobContext, mangas: Sequence[Manga], rejected: Sequence[Rejected], seen: int
) -> set[UUID]:
    """Stores and announces those that are not known; returns what is known now."""
    now = datetime.now(UTC)
    take_turn(context.connection)
    known = set(read_manga(context.connection, [manga.mangadex_id for manga in mangas]))
    new = {m.mangadex_id: m for m in mangas if m.mangadex_id not in known}
    result = store_manga(context.connection, list(new.values()), context.api.not_ahead(now))
    told = outbox.add_events(
        context.connection,
        [events.manga_event(i, key, new[key].title) for key, i in result.inserted.items()],
    )
    refused = [*rejected, *result.rejected]
    for item in refused:
        log.warning("A title cannot be stored id=%s reason=%s", item.mangadex_id, item.reason)
    sync_state.record_rejected(context.connection, NEW_MANGA_POLL, refused, now)
    _account(context.summary, seen, len(result.inserted), told, len(refused))
    context.progress.advance(seen, new=len(result.inserted), failed=len(refused))
    return known | set(result.inserted)


def _account(summary: Summary, seen: int, new: int, told: int, failed: int) -> None:
    summary.manga_seen += seen
    summary.manga_new += new
    summary.events += told
    summary.failed += failed
