"""The first titles in the database, or all of them: `initial-sync`.

    plan (pure) → pool → each worker: fetch a page → extract → store + record the page, one commit
                ←        what the page held

The list of stored pages is the cursor. A run that was killed finds it and asks for the rest; a run
that completes empties it and remembers what it covered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from batch.errors import Banned, SourceDown
from batch.jobs.context import JobContext, Workers
from batch.mangadex import extract
from batch.mangadex.import_plan import PAGE, AllPlan, CountPlan, PageOutcome, PageRequest, Plan
from batch.models import Manga, Page, Rejected
from batch.rules import coverage
from batch.rules.coverage import Coverage
from batch.store import import_pages, sync_state
from batch.store.import_pages import INITIAL_SYNC
from batch.store.titles import StoreResult, store_manga
from batch.workers.worker import WorkerSettings, this_worker
from sql import Connection

MAX_FAILED_PAGES = 3  # then it is not one page that is in trouble

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageReport:
    """What a worker tells of a page it has stored."""

    outcome: PageOutcome
    inserted: int
    updated: int
    rejected: tuple[str, ...]


def run(context: JobContext) -> None:
    """Imports the titles that are asked for, unless a completed run has covered them.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: what is stored stays, and the next run goes on.
    """
    if not context.config.initial_enabled:
        context.summary.status = "skipped"
        log.info("Skipped: MANGA_SYNC_INITIAL is false")
        return
    wanted = _wanted(context)
    before = sync_state.read(context.connection, INITIAL_SYNC)
    due = sync_state.due_rejected(context.connection, INITIAL_SYNC, context.started_at)
    refused = [text for text in due if extract.is_id(text)]
    known = coverage.read(before.metadata.get("covered"), wanted)
    if context.force or not coverage.is_covered(known, wanted):
        _import(context, wanted, known, refused)
        return
    _remember(context, known)
    if refused:
        _import_again(context, refused)
    else:
        context.summary.status = "skipped"
        log.info("Skipped: a completed run has covered as much; --force repeats it")


def _wanted(context: JobContext) -> Coverage:
    config = context.config
    count = None if context.full else context.limit or config.initial_count
    return Coverage(count, config.initial_order, frozenset(config.content_ratings))


def _remember(context: JobContext, covered: Sequence[Coverage]) -> None:
    sync_state.note(context.connection, INITIAL_SYNC, covered=[each.as_json() for each in covered])


def _import(
    context: JobContext, wanted: Coverage, covered: list[Coverage], refused: list[str]
) -> None:
    count = wanted.count
    plan = AllPlan() if count is None else CountPlan(count, context.config.initial_order)
    scope = scope_of(wanted)
    if context.force:
        import_pages.forget(context.connection)
    known = import_pages.load(context.connection, scope)
    if known:
        log.info("Going on where an earlier run stopped pages=%d", len(known))
    else:
        _begin_anew(context)
    with context.workers(_tasks(count)) as workers:
        _retry_refused(workers, context, refused)
        _follow_plan(workers, context, plan, known, scope)
    if missing := _missing(context, plan):
        log.warning(
            "The source lists titles that it did not show; they were not imported, and"
            " this run does not count as a whole import missing=%d",
            missing,
        )
    else:
        covered = coverage.extended(covered, wanted)
    with context.connection.transaction():
        import_pages.forget(context.connection)
        # Nothing is left to go on from.
        sync_state.move_cursor(context.connection, INITIAL_SYNC, None)
        _remember(context, covered)


def scope_of(wanted: Coverage) -> str:
    """Names the import in `sync_pages`: pages of another one are none of this one's."""
    which = "all" if wanted.count is None else f"top {wanted.count} by {wanted.order}"
    return f"{which}: {','.join(sorted(wanted.ratings))}"


def _missing(context: JobContext, plan: Plan) -> int:
    """Titles that the source counts and no page had; at least one where it lists none at all.

    Entities without an id are counted there, and are among the rejected ones here.
    """
    rejected = sync_state.rejected_ids(context.connection, INITIAL_SYNC)
    nameless = sum(not extract.is_id(text) for text in rejected)
    seen = import_pages.count_titles(context.connection)
    if not seen and not nameless:
        return max(plan.expected(), 1)
    return max(plan.expected() - seen - nameless, 0)


def _import_again(context: JobContext, refused: list[str]) -> None:
    context.progress.start("Titles refused before", len(refused))
    with context.workers(1) as workers:
        _retry_refused(workers, context, refused)


def _begin_anew(context: JobContext) -> None:
    """Notes the moment from which `new-manga-poll` looks for new titles: that of the first run.

    Entities without an id cannot be asked for again; those still there will be met again.
    """
    before = sync_state.read(context.connection, INITIAL_SYNC)
    started_at = before.metadata.get("started_at") or context.started_at.isoformat()
    sync_state.move_cursor(context.connection, INITIAL_SYNC, None, started_at=started_at)
    nameless = [text for text in sync_state.rejected_in(before.metadata) if not extract.is_id(text)]
    sync_state.clear_rejected(context.connection, INITIAL_SYNC, nameless)


def _tasks(count: int | None) -> int:
    return 64 if count is None else -(-count // PAGE)


def _retry_refused(workers: Workers, context: JobContext, refused: Sequence[str]) -> None:
    for start in range(0, len(refused), PAGE):
        ids = tuple(UUID(text) for text in refused[start : start + PAGE])
        future = workers.pool.submit(store_ids, workers.settings, ids)
        while not workers.pool.wait([future]):
            context.stop.check()
        _account(context, future.result())


def _follow_plan(
    workers: Workers, context: JobContext, plan: Plan, known: dict[str, PageOutcome], scope: str
) -> None:
    context.progress.start("Titles", plan.expected() or None)
    pending: dict[Future[PageReport], PageRequest] = {}
    failures: list[SourceDown] = []
    while True:
        while len(pending) < 3 * workers.pool.size and (request := plan.next()) is not None:
            if request.key in known:
                _resume(context, plan, request, known[request.key])
            else:
                future = workers.pool.submit(store_page, workers.settings, scope, request)
                pending[future] = request
        context.stop.check()
        if not pending:
            break
        for future in workers.pool.wait(pending):
            _take_in(context, plan, pending.pop(future), future, failures)
    if failures:
        raise SourceDown(f"pages that could not be had: {len(failures)}, the last: {failures[-1]}")


def _resume(context: JobContext, plan: Plan, request: PageRequest, outcome: PageOutcome) -> None:
    plan.done(request, outcome)
    context.progress.expect(plan.expected())
    context.summary.manga_seen += len(outcome.ids)
    context.progress.advance(len(outcome.ids), page=f"{request.key!r}", stored="before")


def _take_in(
    context: JobContext,
    plan: Plan,
    request: PageRequest,
    future: Future[PageReport],
    failures: list[SourceDown],
) -> None:
    """Accounts for a page. One that could not be had is no reason to leave the others."""
    try:
        report = future.result()
    except SourceDown as exc:
        failures.append(exc)
        log.error("A page could not be had page=%r: %s", request.key, exc)
        if len(failures) >= MAX_FAILED_PAGES or isinstance(exc, Banned):
            raise
        return
    plan.done(request, report.outcome)
    context.progress.expect(plan.expected())
    _account(context, report)
    context.progress.advance(
        len(report.outcome.ids),
        page=f"{request.key!r}",
        new=report.inserted,
        updated=report.updated,
        failed=len(report.rejected),
    )


def _account(context: JobContext, report: PageReport) -> None:
    context.summary.manga_seen += len(report.outcome.ids)
    context.summary.manga_new += report.inserted
    context.summary.manga_updated += report.updated
    context.summary.failed += len(report.rejected)


def store_page(settings: WorkerSettings, scope: str, request: PageRequest) -> PageReport:
    """In a worker: fetches a page and stores it together with the note that it is stored."""
    worker = this_worker(settings)
    page = worker.api.list_manga(
        order=request.order,
        limit=request.limit,
        offset=request.offset,
        ratings=settings.config.content_ratings,
        created_since=request.since,
    )
    mangas, rejected = extract.each(extract.manga, page.entities)
    with worker.transaction() as connection:
        result = _store(connection, mangas, rejected, worker.api.not_ahead(datetime.now(UTC)))
        outcome = _outcome(page, mangas, result)
        import_pages.complete(connection, scope, request, outcome)
    return _report(outcome, result)


def store_ids(settings: WorkerSettings, ids: tuple[UUID, ...]) -> PageReport:
    """In a worker: asks once more for titles that could not be stored."""
    worker = this_worker(settings)
    page = worker.api.list_manga(ids=ids, limit=len(ids))
    mangas, rejected = extract.each(extract.manga, page.entities)
    with worker.transaction() as connection:
        result = _store(connection, mangas, rejected, worker.api.not_ahead(datetime.now(UTC)))
        sync_state.clear_rejected(connection, INITIAL_SYNC, _stored_ids(result))
    return _report(_outcome(page, mangas, result), result)


def _store(
    connection: Connection, mangas: Sequence[Manga], rejected: Sequence[Rejected], now: datetime
) -> StoreResult:
    result = store_manga(connection, mangas, now)
    result.rejected.extend(rejected)
    for item in result.rejected:
        log.warning("A title cannot be stored id=%s reason=%s", item.mangadex_id, item.reason)
    sync_state.record_rejected(connection, INITIAL_SYNC, result.rejected, now)
    return result


def _stored_ids(result: StoreResult) -> list[str]:
    return [str(key) for key in [*result.inserted, *result.updated, *result.unchanged]]


def _outcome(page: Page, mangas: Sequence[Manga], result: StoreResult) -> PageOutcome:
    refused = [item.mangadex_id for item in result.rejected if extract.is_id(item.mangadex_id)]
    last = max((manga.created_at for manga in mangas), default=None)
    return PageOutcome((*_stored_ids(result), *refused), page.total, last)


def _report(outcome: PageOutcome, result: StoreResult) -> PageReport:
    refused = tuple(item.mangadex_id for item in result.rejected)
    return PageReport(outcome, len(result.inserted), len(result.updated), refused)
