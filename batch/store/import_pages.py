"""Rows of `sync_pages`: which pages an unfinished initial sync has stored."""

from __future__ import annotations

from uuid import UUID

from batch.models import ImportedPage, ImportRequest
from batch.store.sync_state import move_cursor
from sql import Connection

INITIAL_SYNC = "initial_sync"


def complete(
    connection: Connection, scope: str, request: ImportRequest, page: ImportedPage
) -> None:
    """Record a page, in the transaction that stores its titles, as the workflow's cursor."""
    connection.execute(
        "INSERT INTO sync_pages (sync_type, page_key, manga_ids, next_since, total)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (sync_type, page_key) DO UPDATE SET"
        " manga_ids = excluded.manga_ids, next_since = excluded.next_since,"
        " total = excluded.total, done_at = now()",
        [
            INITIAL_SYNC,
            f"{scope} {request.key}",
            [UUID(text) for text in page.ids],
            page.last_created_at.isoformat() if page.last_created_at else None,
            page.total,
        ],
    )
    move_cursor(connection, INITIAL_SYNC, request.key)


def load(connection: Connection, scope: str) -> dict[str, ImportedPage]:
    """Return the stored pages of this scope by their key; delete those of any other."""
    connection.execute(
        "DELETE FROM sync_pages WHERE sync_type = %s AND NOT starts_with(page_key, %s)",
        [INITIAL_SYNC, f"{scope} "],
    )
    rows = connection.execute(
        "SELECT substr(page_key, %s), manga_ids::text[], total, next_since::timestamptz"
        " FROM sync_pages WHERE sync_type = %s",
        [len(scope) + 2, INITIAL_SYNC],
    ).fetchall()
    return {key: ImportedPage(tuple(ids), total, last) for key, ids, total, last in rows}


def count_titles(connection: Connection) -> int:
    """Return how many different titles the stored pages held, rejected ones included."""
    row = connection.execute(
        "SELECT count(DISTINCT id) FROM sync_pages, unnest(manga_ids) AS id WHERE sync_type = %s",
        [INITIAL_SYNC],
    ).fetchone()
    return int(row[0]) if row else 0


def forget(connection: Connection) -> None:
    """Empty the list: the sync is complete, or starts again."""
    connection.execute("DELETE FROM sync_pages WHERE sync_type = %s", [INITIAL_SYNC])
