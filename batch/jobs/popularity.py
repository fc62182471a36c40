"""How many follow a title at the source, for suggestions: a part of `metadata-refresh`, weekly.

the 300 most followed → their ids;  with the titles in libraries → /statistics/manga, 100 each
                                                                     one commit a request
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

from batch.cursors import write_cursor
from batch.errors import RequestRefused
from batch.jobs.context import JobContext
from batch.mangadex import extract
from batch.mangadex.paging import PAGE
from batch.store import popularity, sync_state
from sql.state.workflows import read_cursor

MOST_FOLLOWED = 300  # a reader who has the first hundred finds more
EVERY = timedelta(days=7)
_ROW = "metadata_refresh"
_NOTED = "most_followed_at"

log = logging.getLogger(__name__)


def ask_figures(context: JobContext) -> None:
    """Ask for the figures that are due, if there are readers.

    Raises:
        SourceDown, SqlError, Stopped: what came before is stored.
    """
    if not popularity.has_readers(context.connection):
        return
    before = context.started_at - EVERY
    try:
        is_listed = _is_listed(context, before)
        listed = [] if is_listed else _list_most_followed(context)
        due = popularity.read_due(context.connection, before, listed)
        for start in range(0, len(due), PAGE):
            _ask(context, due[start : start + PAGE])
        if not is_listed:
            noted = {_NOTED: write_cursor(context.started_at)}
            sync_state.note(context.connection, _ROW, **noted)
    except RequestRefused as exc:  # suggestions do without; titles were refreshed all the same
        log.error("Figures of titles cannot be read: %s", exc)


def _is_listed(context: JobContext, before: datetime) -> bool:
    """Return whether the most followed titles were listed not long ago."""
    state = sync_state.read(context.connection, _ROW)
    listed_at = read_cursor(state.metadata.get(_NOTED))
    return listed_at is not None and before < listed_at <= context.started_at


def _list_most_followed(context: JobContext) -> list[UUID]:
    found: list[UUID] = []
    for offset in range(0, MOST_FOLLOWED, PAGE):
        context.stop.check()
        page = context.api.list_manga(
            order=("followedCount", "desc"),
            limit=PAGE,
            offset=offset,
            ratings=context.config.content_ratings,
        )
        found += map(UUID, extract.ids(page.entities))
        if offset + PAGE >= page.total:
            break
    return found


def _ask(context: JobContext, ids: list[UUID]) -> None:
    context.stop.check()
    follows = context.api.list_follows(ids)
    with context.connection.transaction():
        popularity.store(context.connection, ids, follows, datetime.now(UTC))
