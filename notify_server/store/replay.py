"""The SQL behind replay: what is unread, and rows as datagrams again."""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import datetime
from uuid import UUID

import psycopg

import sql
from readers import unread
from readers.datagram import DatagramTemplate, make_template
from readers.foreign_rows import CONTENT, read_content
from readers.recipients import BEHIND
from sql.connections import Database
from sql.snapshot import Snapshot, parse_snapshot

log = logging.getLogger(__name__)

MAX_REPLAY = 1_000
_CACHED_TEMPLATES = 256
# Errors that are not about the requested rows: try again.
_PASSING = (sql.SqlError, psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)

_Key = tuple[str, datetime, str | None]


def key_generations(connection: sql.Connection, users: list[bytes]) -> dict[bytes, int]:
    """Return the generation of each user's key; unknown users are missing."""
    rows = connection.execute(
        "SELECT users.id, coalesce(generation, 0) FROM users "
        "LEFT JOIN notify_keys ON notify_keys.user_id = users.id WHERE users.id = ANY(%s)",
        ([UUID(bytes=user) for user in users],),
    ).fetchall()
    return {user.bytes: generation for user, generation in rows}


def unread_ids(
    connection: sql.Connection, users: list[bytes]
) -> tuple[dict[bytes, list[int]], Snapshot]:
    """Return the newest 1,000 unread ids of each user, oldest first, and what the query saw."""
    rows = connection.execute(
        "SELECT wanted.id, ARRAY(SELECT n.id FROM notifications n "
        "  WHERE n.user_id = wanted.id AND n.read IS NOT TRUE "
        f"  AND n.id > greatest(adoption.last_id, {unread.read_up_to('wanted.id')}) "
        "  ORDER BY n.id DESC LIMIT %s), pg_current_snapshot()::text "
        "FROM unnest(%s::uuid[]) AS wanted (id), (SELECT coalesce(max("
        "  (value ->> 'last_notification_id')::bigint), 0) AS last_id "
        "  FROM mangahub_meta WHERE key = 'adoption') AS adoption",
        (MAX_REPLAY, [UUID(bytes=user) for user in users]),
    ).fetchall()
    return {user.bytes: sorted(ids) for user, ids, _ in rows}, parse_snapshot(rows[0][2])


class TemplateLoader:
    """Turns rows into datagrams. The rows of one event share a template, as live ones do."""

    def __init__(self) -> None:
        self._cache: OrderedDict[_Key, DatagramTemplate] = OrderedDict()

    def load_readable(self, database: Database, ids: list[int]) -> dict[int, DatagramTemplate]:
        """Return the template of each row; rows that are gone or cannot be read are missing.

        Raises:
            SqlError, psycopg.Error: the database cannot be queried now.
        """
        try:
            with database.connection() as connection:
                return self.load(connection, ids)
        except _PASSING:
            raise
        except Exception as exc:
            if len(ids) == 1:
                log.error("A notification cannot be read id=%d reason=%r", ids[0], exc)
                return {}
            log.exception("Unexpected error, loading the rows of a page one by one")
        return {id: t for each in ids for id, t in self.load_readable(database, [each]).items()}

    def load(self, connection: sql.Connection, ids: list[int]) -> dict[int, DatagramTemplate]:
        """Return the template of each row; rows that are gone are missing."""
        # Rows without an event are other programs', and their data may be anything.
        query = (
            f"SELECT id, coalesce(event_id, 'row:' || id), created_at,"
            f" CASE WHEN event_id IS NOT NULL THEN {BEHIND} END"
            " FROM notifications WHERE id = ANY(%s::bigint[])"
        )
        rows = connection.execute(query.encode(), (ids,)).fetchall()
        keys: dict[int, _Key] = {id: tuple(key) for id, *key in rows}
        fresh = _load(connection, {key: id for id, key in keys.items() if key not in self._cache})
        known = {**self._cache, **fresh}
        self._remember(fresh)
        return {id: known[key] for id, key in keys.items() if key in known}

    def _remember(self, fresh: dict[_Key, DatagramTemplate]) -> None:
        self._cache.update((k, t) for k, t in fresh.items() if not k[0].startswith("row:"))
        while len(self._cache) > _CACHED_TEMPLATES:
            self._cache.popitem(last=False)


def _load(connection: sql.Connection, rows: dict[_Key, int]) -> dict[_Key, DatagramTemplate]:
    """Load one row's content at a time: each may be as large as a POST."""
    if not rows:
        return {}
    key_of = {id: key for key, id in rows.items()}
    query = f"SELECT id, {CONTENT} FROM notifications WHERE id = ANY(%s::bigint[])"
    with connection.cursor() as cursor:
        found = cursor.stream(query.encode(), (list(key_of),))
        return {key_of[id]: make_template(read_content(content)) for id, *content in found}
