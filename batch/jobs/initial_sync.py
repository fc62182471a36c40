"""The first titles in the database, or all of them: `initial-sync`.

    plan (pure) → pool → each worker: request a page → extract → store + record the page, one commit
                ←        what the page held

The list of stored pages is the cursor. A run that was killed is continued from it; a run that
completes empties it and records what it covered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from batch.jobs.context import JobContext, Workers
from batch.mangadex import extract
from batch.mangadex.import_plan import AllPlan, CountPlan, Plan
from batch.mangadex.paging import PAGE
from batch.models import ImportedPage, ImportRequest, Manga, OutboxEvent, Page
from batch.rules import coverage, events
from batch.rules.coverage import Coverage
from batch.store import import_pages, outbox, popularity, rejections, sync_state
from batch.store.import_pages import INITIAL_SYNC
from batch.store.titles import StoredPage, read_first_sync, store_manga
from batch.workers.worker import Worker, WorkerSettings, this_worker
from sql import Connection
from sql.state.workflows import read_cursor

MANY_TASKS = 64  # of an import of the whole catalogue: more than any number of workers
_BY_FOLLOWS = ("followedCount", "desc")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageReport:
    """What a worker reports of a page that it has stored."""

    page: ImportedPage
    inserted: int
    updated: int
    rejected: int
    events: int


@dataclass(frozen=True, slots=True)
class Import:
    """What the workers know of the import that their pages are part of.

    Attributes:
        scope: its name in `sync_pages`, which distinguishes its pages from another's.
        started_at: by this host's clock.
        news_since: unknown titles created from then on are news, and so are changes of known
            ones; None in the first import, which makes no events.
    """

    scope: str
    started_at: datetime
    news_since: datetime | None


def run(context: JobContext) -> None:
    """Import the titles that are asked for, unless a completed run has covered them.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: what is stored stays, and the next run continues.
    """
    if not context.config.initial_enabled:
        context.summary.status = "skipped"
        log.info("Skipped: MANGA_SYNC_INITIAL is false")
        return
    wanted = _wanted(context)
    before = sync_state.read(context.connection, INITIAL_SYNC)
    covered = coverage.read(before.metadata.get("covered"), wanted)
    rejected = rejections.read_due(context.connection, INITIAL_SYNC, context.started_at)
    news_since = read_news_since(context.connection)
    work = Import(scope_of(wanted), context.started_at, news_since)
    if context.force or not coverage.is_covered(covered, wanted):
        _import(context, work, wanted, covered, rejected)
        return
    _record_covered(context, covered)
    if rejected:
        context.progress.start("Rejected titles", len(rejected))
        with context.workers(1) as workers:
            _retry(context, workers, work, rejected)
    else:
        context.summary.status = "skipped"
        log.info("Skipped: a completed run has covered as much; --force repeats it")


def read_news_since(connection: Connection) -> datetime | None:
    """Return when the first import began, to the second, once one has ended and found titles."""
    before = sync_state.read(connection, INITIAL_SYNC)
    first_at = read_cursor(before.metadata.get("started_at"))
    has_ended = "covered" in before.metadata and read_first_sync(connection) is not None
    if first_at is None or not has_ended:
        return None
    return first_at.replace(microsecond=0)


def _wanted(context: JobContext) -> Coverage:
    config = context.config
    count = None if context.full else context.limit or config.initial_count
    return Coverage(count, config.initial_order, frozenset(config.content_ratings))


def _record_covered(context: JobContext, covered: Sequence[Coverage]) -> None:
    entries = [each.as_json() for each in covered]
    sync_state.note(context.connection, INITIAL_SYNC, covered=entries)


def _import(
    context: JobContext,
    work: Import,
    wanted: Coverage,
    covered: list[Coverage],
    rejected: Sequence[UUID],
) -> None:
    count = wanted.count
    plan = AllPlan() if count is None else CountPlan(count, wanted.order)
    if context.force:
        import_pages.forget(context.connection)
    known = import_pages.load(context.connection, work.scope)
    if known:
        log.info("Continuing an earlier run pages=%d", len(known))
    else:
        _begin_anew(context)
    with context.workers(MANY_TASKS if count is None else -(-count // PAGE)) as workers:
        _follow_plan(context, workers, plan, known, work)
        _retry(context, workers, work, rejected)
    if missing := _count_missing(context, plan):
        log.warning(
            "The source returned fewer titles than it counts; the import is incomplete missing=%d",
            missing,
        )
    else:
        covered = coverage.extended(covered, wanted)
    with context.connection.transaction():
        import_pages.forget(context.connection)
        sync_state.move_cursor(context.connection, INITIAL_SYNC, None)
        _record_covered(context, covered)


def scope_of(wanted: Coverage) -> str:
    """Return the name of the import in `sync_pages`, which tells its pages from another's."""
    which = "all" if wanted.count is None else f"top {wanted.count} by {wanted.order}"
    return f"{which}: {','.join(sorted(wanted.ratings))}"


def _begin_anew(context: JobContext) -> None:
    """Forget the cursor, and rejected items that have no id to be asked for again by.

    This import meets those that are still there.
    """
    connection = context.connection
    sync_state.move_cursor(connection, INITIAL_SYNC, None)
    nameless = rejections.read_nameless(connection, INITIAL_SYNC)
    rejections.clear(connection, INITIAL_SYNC, nameless)


def _count_missing(context: JobContext, plan: Plan) -> int:
    """Return how many titles the source counts and no page had; at least one where all are empty.

    Items without an id are counted there, and are among the rejected ones here.
    """
    nameless = len(rejections.read_nameless(context.connection, INITIAL_SYNC))
    seen = import_pages.count_titles(context.connection)
    if not seen and not nameless:
        return max(plan.expected(), 1)
    return max(plan.expected() - seen - nameless, 0)


def _follow_plan(
    context: JobContext, workers: Workers, plan: Plan, known: dict[str, ImportedPage], work: Import
) -> None:
    def next_request() -> ImportRequest | None:
        while (request := plan.next()) is not None and request.key in known:
            page = known[request.key]
            _take_in(context, plan, request, page)
            context.summary.manga_seen += len(page.ids)
            context.progress.advance(len(page.ids), page=f"{request.key!r}", stored="before")
        return request

    context.progress.start("Titles", plan.expected() or None)
    for request, report in workers.do(partial(store_page, work=work), next_request):
        _take_in(context, plan, request, report.page)
        _account(context, report)
        context.progress.advance(
            len(report.page.ids),
            page=f"{request.key!r}",
            new=report.inserted,
            updated=report.updated,
            failed=report.rejected,
        )


def _take_in(context: JobContext, plan: Plan, request: ImportRequest, page: ImportedPage) -> None:
    plan.done(request, page)
    context.progress.expect(plan.expected())


def _retry(context: JobContext, workers: Workers, work: Import, rejected: Sequence[UUID]) -> None:
    parts = [rejected[start : start + PAGE] for start in range(0, len(rejected), PAGE)]
    for report in workers.do_all(partial(store_again, work=work), parts):
        _account(context, report)


def _account(context: JobContext, report: PageReport) -> None:
    context.summary.manga_seen += len(report.page.ids)
    context.summary.manga_new += report.inserted
    context.summary.manga_updated += report.updated
    context.summary.failed += report.rejected
    context.summary.events += report.events


def store_page(settings: WorkerSettings, request: ImportRequest, work: Import) -> PageReport:
    """Request a page in a worker, and store it together with its record in `sync_pages`.

    The first page also records when the first import began, by the source's clock: from then on
    `new-manga-poll` looks for new titles.
    """
    worker = this_worker(settings)
    page = worker.api.list_manga(
        order=request.order,
        limit=request.limit,
        offset=request.offset,
        ratings=settings.config.content_ratings,
        created_since=request.since,
    )
    with worker.transaction() as connection:
        report, _ = _store(connection, worker, work, page)
        if request.order == _BY_FOLLOWS and request.since is None:
            popularity.store_ranks(connection, list(map(UUID, report.page.ids)), request.offset)
        import_pages.complete(connection, work.scope, request, report.page)
        started_at = worker.api.source_time(work.started_at).isoformat()
        sync_state.note_once(connection, INITIAL_SYNC, "started_at", started_at)
    return report


def store_again(settings: WorkerSettings, ids: Sequence[UUID], work: Import) -> PageReport:
    """Request titles in a worker once more that could not be stored."""
    worker = this_worker(settings)
    page = worker.api.list_manga(ids=ids, limit=len(ids))
    with worker.transaction() as connection:
        report, result = _store(connection, worker, work, page)
        rejections.clear(connection, INITIAL_SYNC, map(str, result.ids))
    return report


def _store(
    connection: Connection, worker: Worker, work: Import, page: Page
) -> tuple[PageReport, StoredPage]:
    mangas, unreadable = extract.each(extract.manga, page.entities)
    now = datetime.now(UTC)
    result = store_manga(connection, mangas, worker.api.not_ahead(now), worker.api.source_time(now))
    added = outbox.add_events(connection, _news(work, mangas, result))
    rejected = [*result.rejected, *unreadable]
    rejections.record(connection, INITIAL_SYNC, rejected, now)
    last = max((manga.created_at for manga in mangas), default=None)
    imported = ImportedPage(extract.ids(page.entities), page.total, last)
    report = PageReport(imported, len(result.inserted), len(result.updated), len(rejected), added)
    return report, result


def _news(work: Import, mangas: Sequence[Manga], result: StoredPage) -> list[OutboxEvent]:
    """Return what this import must not swallow: neither poll nor refresh would find it later."""
    if work.news_since is None:
        return []
    created = [
        events.manga_event(result.inserted[manga.mangadex_id], manga)
        for manga in mangas
        if manga.mangadex_id in result.inserted and manga.created_at >= work.news_since
    ]
    return [*created, *events.update_events(result.before, mangas, result.updated)]
