"""Titles of readers' lists that the catalogue does not have: `fetch-wanted`.

    old numbers → POST /legacy/mapping → ids                                one commit a request
    ids → /manga?ids[] → (missing: /manga/{id}) → store, note what is missing       likewise
    what is stored → readers' libraries, one notification a reader

The entries are the cursor: what is done is not wanted any more. A title that is answered with 404
in two runs is gone: its entry is kept, and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from batch.errors import RequestRefused, SourceDown
from batch.jobs.context import JobContext
from batch.jobs.initial_sync import read_news_since
from batch.jobs.metadata_refresh import FoundTitles, RefreshTask, ask
from batch.mangadex.paging import PAGE
from batch.models import OutboxEvent
from batch.rules import events
from batch.store import outbox, rejections, wanted
from batch.store.titles import StoredPage, store_manga
from readers.lists import retrying

FETCH_WANTED = "fetch_wanted"
MOST_BYTES = 9_500  # of a body: the API takes 10 KB
MOST_MISSING = 100  # titles of a run that are asked for singly

log = logging.getLogger(__name__)


def has_nothing_to_do(context: JobContext) -> bool:
    """Return whether no reader wants a title: then the source is not even probed."""
    return not wanted.is_any(context.connection)


def run(context: JobContext) -> None:
    """Ask for all titles that are wanted and due.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: what was stored is in the libraries or comes
            there in the next run.
    """
    if has_nothing_to_do(context):
        context.summary.status = "skipped"
        return
    context.summary.extra |= {"missing": 0, "matched": 0}
    _map_numbers(context)
    ids = wanted.read_ids(context.connection, context.started_at)
    context.progress.start("Wanted titles", len(ids))
    try:
        for part in _parts(ids, PAGE):
            _fetch(context, part)
    except SourceDown:
        _match(context)  # readers need not wait for the source with what has come
        raise
    _match(context)


def _match(context: JobContext) -> None:
    _count(context, "matched", retrying.retry_wanted(context.connection))


def _parts(items: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def bodies(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Yield as many numbers at a time as a body holds."""
    part: list[int] = []
    size = 0
    for number in numbers:
        length = len(f"{number}, ")
        if size + length > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(number)
        size += length
    if part:
        yield part


def _map_numbers(context: JobContext) -> None:
    numbers = wanted.read_numbers(context.connection, context.started_at)
    for asked in bodies(numbers):
        context.stop.check()
        try:
            found = context.api.map_legacy(asked)
        except RequestRefused as exc:  # the others can be asked for all the same
            log.error("Old numbers cannot be looked up count=%d: %s", len(asked), exc)
            wanted.mark_numbers_asked(context.connection, asked, datetime.now(UTC))
            context.summary.failed += len(asked)
            continue
        with context.connection.transaction():
            unknown = wanted.set_ids(context.connection, asked, found, datetime.now(UTC))
        _count(context, "missing", unknown)


def _fetch(context: JobContext, ids: Sequence[UUID]) -> None:
    context.stop.check()
    left = max(MOST_MISSING - int(str(context.summary.extra["missing"])), 0)
    found = ask(context.api, RefreshTask(tuple(ids), frozenset(), context.started_at), left)
    connection, now = context.connection, datetime.now(UTC)
    with connection.transaction():
        api = context.api
        result = store_manga(connection, found.mangas, api.not_ahead(now), api.source_time(now))
        added = outbox.add_events(connection, _news(context, found, result))
        rejected = [*found.rejected, *result.rejected]
        refused = {item.mangadex_id for item in rejected}
        wanted.mark_asked(connection, [each for each in ids if str(each) in refused], now)
        wanted.mark_missing(connection, found.missing, now)
        rejections.clear(connection, FETCH_WANTED, map(str, result.ids))
        rejections.record(connection, FETCH_WANTED, rejected, now)
    summary = context.summary
    summary.manga_seen += len(found.mangas)
    summary.manga_new += len(result.inserted)
    summary.manga_updated += len(result.updated)
    summary.events += added
    summary.failed += len(rejected)
    _count(context, "missing", len(found.missing))
    context.progress.advance(len(ids), new=len(result.inserted), missing=len(found.missing))


def _news(context: JobContext, found: FoundTitles, result: StoredPage) -> list[OutboxEvent]:
    """Return the titles that `new-manga-poll` would have found: it skips known ones."""
    since = read_news_since(context.connection)
    return [
        events.manga_event(result.inserted[manga.mangadex_id], manga)
        for manga in found.mangas
        if manga.mangadex_id in result.inserted
        and since is not None
        and manga.created_at >= since
        and manga.content_rating in context.config.content_ratings
    ]


def _count(context: JobContext, name: str, number: int) -> None:
    context.summary.extra[name] = int(str(context.summary.extra[name])) + number
