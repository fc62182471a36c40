"""Asks for the titles that were not synced for a while, a hundred a request: `metadata-refresh`.

    due titles → pool → each worker: /manga?ids[]  → (missing: /manga/{id}) → compare (pure)
                                     → store + manga-update events            one commit a page

The list silently omits titles that it does not have. Only a title that is also answered with 404,
in two runs, becomes unavailable; it is still requested, and available again when it is listed.
`updatedAtSince` would need fewer requests, but it shows neither what is gone nor, as far as is
known, a new cover: each title would still have to be requested.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

from batch.errors import RequestRefused
from batch.jobs import popularity
from batch.jobs.context import JobContext
from batch.mangadex import extract
from batch.mangadex.client import MangaDex
from batch.mangadex.paging import PAGE
from batch.models import Manga, Rejected
from batch.rules import events
from batch.rules.titles import find_differences
from batch.store import outbox, rejections, titles
from batch.store.titles import StoredPage
from batch.workers.worker import WorkerSettings, this_worker
from readers import moves

METADATA_REFRESH = "metadata_refresh"
MAX_LISTED = 100  # adopted titles that a summary names

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RefreshTask:
    """Titles of one request; those in `unavailable` are known to be so."""

    ids: tuple[UUID, ...]
    unavailable: frozenset[UUID]
    started_at: datetime


@dataclass(slots=True)
class FoundTitles:
    """The titles of a task at the source."""

    mangas: list[Manga] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    missing: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a worker reports of a task.

    Attributes:
        adopted: titles of another program that differed from the source: id and fields.
    """

    seen: int
    updated: int
    events: int
    failed: int
    missing: int
    newly_unavailable: int
    adopted: dict[str, list[str]] = field(default_factory=dict)


def run(context: JobContext) -> None:
    """Refresh what is due.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: titles that were stored are done.
    """
    before = context.started_at - context.config.refresh_after
    due = titles.read_due(context.connection, before, context.started_at)
    context.progress.start("Titles refreshed", len(due))
    if due:
        _refresh(context, due)
    popularity.ask_figures(context)
    if moved := moves.move_sure(context.connection, context.stop.check):
        context.summary.extra["moved"] = moved
        log.info("Titles that are gone were moved to their successors rows=%d", moved)


def _refresh(context: JobContext, due: Sequence[tuple[UUID, bool]]) -> None:
    context.summary.extra |= {"missing": 0, "unavailable": 0}
    with context.workers(-(-len(due) // PAGE)) as workers:
        for refreshed in workers.do_all(refresh_titles, _tasks(due, context.started_at)):
            _account(context, refreshed)


def _tasks(due: Sequence[tuple[UUID, bool]], started_at: datetime) -> Iterator[RefreshTask]:
    for start in range(0, len(due), PAGE):
        part = due[start : start + PAGE]
        unavailable = frozenset(key for key, is_unavailable in part if is_unavailable)
        yield RefreshTask(tuple(key for key, _ in part), unavailable, started_at)


def _account(context: JobContext, refreshed: Refreshed) -> None:
    summary = context.summary
    summary.manga_seen += refreshed.seen
    summary.manga_updated += refreshed.updated
    summary.events += refreshed.events
    summary.failed += refreshed.failed
    for name, count in (
        ("missing", refreshed.missing),
        ("unavailable", refreshed.newly_unavailable),
    ):
        summary.extra[name] = int(str(summary.extra[name])) + count
    if refreshed.adopted:
        listed = summary.extra.setdefault("adopted_changed", {})
        assert isinstance(listed, dict)
        listed |= islice(refreshed.adopted.items(), MAX_LISTED - len(listed))
    context.progress.advance(
        refreshed.seen + refreshed.missing,
        updated=refreshed.updated,
        missing=refreshed.missing,
        failed=refreshed.failed,
    )


def refresh_titles(settings: WorkerSettings, task: RefreshTask) -> Refreshed:
    """Refresh titles in a worker: one request, and one more for each newly missing title."""
    worker = this_worker(settings)
    found = ask(worker.api, task)
    with worker.transaction() as connection:
        now = datetime.now(UTC)
        result = titles.store_manga(
            connection, found.mangas, worker.api.not_ahead(now), worker.api.source_time(now)
        )
        news = events.update_events(result.before, found.mangas, result.updated)
        added = outbox.add_events(connection, news)
        unavailable = titles.mark_missing(connection, found.missing, task.started_at, now)
        rejected = [*found.rejected, *result.rejected]
        rejections.clear(connection, METADATA_REFRESH, map(str, result.ids))
        rejections.record(connection, METADATA_REFRESH, rejected, now)
    return Refreshed(
        seen=len(found.mangas),
        updated=len(result.updated),
        events=added,
        failed=len(rejected),
        missing=len(found.missing),
        newly_unavailable=unavailable,
        adopted=_adopted_differences(found.mangas, result),
    )


def _adopted_differences(mangas: Sequence[Manga], result: StoredPage) -> dict[str, list[str]]:
    """Return what the first refresh changed of adopted titles, which readers do not hear of."""
    found = {}
    for manga in mangas:
        before = result.before.get(manga.mangadex_id)
        if before and before.is_adopted and manga.mangadex_id in result.updated:
            fields = [change.field for change in find_differences(before, manga)]
            if fields:
                log.info("Adopted title updated manga=%s fields=%s", before.id, ",".join(fields))
                found[str(manga.mangadex_id)] = fields
    return found


def ask(api: MangaDex, task: RefreshTask, most_singly: int = PAGE) -> FoundTitles:
    """Ask for all at once, and singly for those that the list leaves out.

    Args:
        most_singly: how many may be asked for singly; further ones are neither found nor missing.

    Raises:
        RequestRefused: all at once.
        SourceDown, Stopped.
    """
    page = api.list_manga(ids=task.ids, limit=len(task.ids))
    mangas, rejected = extract.each(extract.manga, page.entities)
    # A title that was not asked for would be stored without an announcement.
    found = FoundTitles([manga for manga in mangas if manga.mangadex_id in task.ids], rejected)
    listed = {str(manga.mangadex_id) for manga in found.mangas}
    listed |= {item.mangadex_id for item in found.rejected}
    for mangadex_id in task.ids:
        if str(mangadex_id) in listed:
            continue
        # For those that are known to be unavailable, the list alone is enough.
        if mangadex_id in task.unavailable:
            found.missing.append(mangadex_id)
        elif most_singly > 0:
            most_singly -= 1
            _ask_singly(api, mangadex_id, found)
    return found


def _ask_singly(api: MangaDex, mangadex_id: UUID, found: FoundTitles) -> None:
    """Ask for one title; where its request is refused, it is rejected and not missing."""
    try:
        entity = api.get_manga(mangadex_id)
    except RequestRefused as exc:
        found.rejected.append(Rejected(str(mangadex_id), str(exc)))
        return
    if entity is None:
        found.missing.append(mangadex_id)
        return
    mangas, rejected = extract.each(extract.manga, [entity])
    found.rejected += rejected
    for manga in mangas:
        if manga.mangadex_id == mangadex_id:
            found.mangas.append(manga)
        else:
            reason = f"the source answers with the title {manga.mangadex_id} instead"
            found.rejected.append(Rejected(str(mangadex_id), reason))
