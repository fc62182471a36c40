"""Asks for the titles that were not synced for a while, a hundred a request: `metadata-refresh`.

    due titles → pool → each worker: /manga?ids[]  → (missing: /manga/{id}) → compare (pure)
                                     → store + manga-update events            one commit a page

The list leaves out in silence what it does not have. Only a title that is also answered with 404,
in two runs, is marked as unavailable; it is still asked for, and comes back when it comes back.
What `updatedAtSince` lists would be fewer requests, but it shows neither what is gone nor, for all
that is known, a new cover: each title would still have to be asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from batch.errors import RequestRefused
from batch.jobs.context import JobContext
from batch.jobs.tasks import run_tasks
from batch.mangadex import extract
from batch.mangadex.client import MangaDex
from batch.models import Event, Manga, Rejected
from batch.rules import events
from batch.store import outbox, sync_state
from batch.store.titles import StoredManga, StoreResult, read_manga, store_manga, take_turn
from batch.workers.worker import WorkerSettings, this_worker
from sql import Connection

METADATA_REFRESH = "metadata_refresh"
PAGE = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """Titles of one request; those in `lost` are known to be unavailable."""

    ids: tuple[UUID, ...]
    lost: frozenset[UUID]
    started_at: datetime


@dataclass(slots=True)
class Answer:
    """What the source has of a group."""

    mangas: list[Manga] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    missing: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a worker tells of a group."""

    seen: int
    updated: int
    events: int
    failed: int
    missing: int
    newly_unavailable: int


def run(context: JobContext) -> None:
    """Refreshes what is due.

    Raises:
        SourceDown, BatchError, SqlError, Stopped: groups that were stored are done.
    """
    due = _read_due(context.connection, context.started_at - context.config.refresh_after)
    context.progress.start("Titles refreshed", len(due))
    if not due:
        return
    context.summary.extra |= {"missing": 0, "unavailable": 0}
    with context.workers(-(-len(due) // PAGE)) as workers:
        for refreshed in run_tasks(
            context, workers, refresh_group, _groups(due, context.started_at)
        ):
            _account(context, refreshed)


def _read_due(connection: Connection, before: datetime) -> list[tuple[UUID, bool]]:
    """Titles, the longest unsynced first, and whether they are unavailable; those come last."""
    return connection.execute(
        "SELECT mangadex_id, unavailable_at IS NOT NULL FROM manga WHERE mangadex_id IS NOT NULL"
        " AND (last_synced_at IS NULL OR last_synced_at <= %s)"
        " ORDER BY unavailable_at IS NOT NULL, last_synced_at NULLS FIRST, id",
        [before],
    ).fetchall()


def _groups(due: Sequence[tuple[UUID, bool]], started_at: datetime) -> Iterator[Group]:
    for start in range(0, len(due), PAGE):
        part = due[start : start + PAGE]
        lost = frozenset(key for key, is_lost in part if is_lost)
        yield Group(tuple(key for key, _ in part), lost, started_at)


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
    context.progress.advance(
        refreshed.seen + refreshed.missing,
        updated=refreshed.updated,
        missing=refreshed.missing,
        failed=refreshed.failed,
    )


def refresh_group(settings: WorkerSettings, group: Group) -> Refreshed:
    """In a worker: one request, and one more for each title that is missing for the first times."""
    worker = this_worker(settings)
    answer = ask(worker.api, group)
    with worker.transaction() as connection:
        now = datetime.now(UTC)
        take_turn(connection)
        before = read_manga(connection, [manga.mangadex_id for manga in answer.mangas])
        mangas = [keep_cover(before.get(manga.mangadex_id), manga) for manga in answer.mangas]
        result = store_manga(connection, mangas, worker.api.not_ahead(now))
        told = outbox.add_events(connection, _update_events(before, mangas, result))
        unavailable = _mark_missing(connection, answer.missing, group.started_at, now)
        refused = [*answer.rejected, *result.rejected]
        _note_refused(connection, mangas, refused, now)
    return Refreshed(
        seen=len(mangas),
        updated=len(result.updated),
        events=told,
        failed=len(refused),
        missing=len(answer.missing),
        newly_unavailable=unavailable,
    )


def ask(api: MangaDex, group: Group) -> Answer:
    """Asks for all at once, and singly for those that the list leaves out.

    Raises:
        RequestRefused: all at once.
        SourceDown, Stopped.
    """
    page = api.list_manga(ids=group.ids, limit=len(group.ids))
    mangas, rejected = extract.each(extract.manga, page.entities)
    # What was not asked for would come in without having been announced.
    answer = Answer([manga for manga in mangas if manga.mangadex_id in group.ids], rejected)
    listed = {str(manga.mangadex_id) for manga in answer.mangas}
    listed |= {item.mangadex_id for item in answer.rejected}
    for mangadex_id in group.ids:
        if str(mangadex_id) in listed:
            continue
        # Of those that are known to be gone, the list alone is enough.
        if mangadex_id in group.lost:
            answer.missing.append(mangadex_id)
        else:
            _ask_singly(api, mangadex_id, answer)
    return answer


def _ask_singly(api: MangaDex, mangadex_id: UUID, answer: Answer) -> None:
    """One that is refused is neither here nor gone, and keeps nobody behind it waiting."""
    try:
        entity = api.get_manga(mangadex_id)
    except RequestRefused as exc:
        answer.rejected.append(Rejected(str(mangadex_id), str(exc)))
        return
    if entity is None:
        answer.missing.append(mangadex_id)
        return
    mangas, rejected = extract.each(extract.manga, [entity])
    answer.rejected += rejected
    for manga in mangas:
        if manga.mangadex_id == mangadex_id:
            answer.mangas.append(manga)
        else:
            reason = f"the source answers with the title {manga.mangadex_id} instead"
            answer.rejected.append(Rejected(str(mangadex_id), reason))


def keep_cover(before: StoredManga | None, manga: Manga) -> Manga:
    """An answer may leave out what a cover is called; that does not take the cover away."""
    if before is None or manga.cover_url is not None:
        return manga
    return replace(manga, cover_url=before.cover_url)


def _update_events(
    before: dict[UUID, StoredManga], mangas: Sequence[Manga], result: StoreResult
) -> list[Event]:
    found = []
    for manga in mangas:
        stored = before.get(manga.mangadex_id)
        if stored is None or manga.mangadex_id not in result.updated:
            continue
        changes = events.find_changes(stored, manga)
        if stored.last_synced_at is None:  # of an adopted title: what was unknown did not change
            changes = [change for change in changes if change.old_value is not None]
        if changes:
            found.append(events.update_event(stored.id, manga, changes))
    return found


def _mark_missing(
    connection: Connection, missing: Sequence[UUID], started_at: datetime, now: datetime
) -> int:
    """Notes who was missing; who already was in an earlier run is unavailable from now on."""
    if not missing:
        return 0
    cursor = connection.execute(
        "UPDATE manga SET unavailable_at = %s WHERE mangadex_id = ANY(%s)"
        " AND missing_since < %s AND unavailable_at IS NULL",
        [now, list(missing), started_at],
    )
    connection.execute(
        "UPDATE manga SET missing_since = %s WHERE mangadex_id = ANY(%s) AND missing_since IS NULL",
        [now, list(missing)],
    )
    return cursor.rowcount


def _note_refused(
    connection: Connection, mangas: Sequence[Manga], refused: Sequence[Rejected], now: datetime
) -> None:
    for item in refused:
        log.warning("A title cannot be stored id=%s reason=%s", item.mangadex_id, item.reason)
    kept = {item.mangadex_id for item in refused}
    stored = [str(m.mangadex_id) for m in mangas if str(m.mangadex_id) not in kept]
    sync_state.clear_rejected(connection, METADATA_REFRESH, stored)
    sync_state.record_rejected(connection, METADATA_REFRESH, refused, now)
