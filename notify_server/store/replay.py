"""What is unread, and rows as datagrams again: the SQL behind replay and other servers' events."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sql
from notify_server.store.foreign_rows import CONTENT, moment, read_content
from notify_server.store.snapshot import Snapshot, full_xid, parse_snapshot
from notify_server.wire import protocol
from notify_server.wire.datagram import DatagramTemplate, make_template

MAX_REPLAY = 1_000
_CACHED_TEMPLATES = 256
# A datagram shows less of a text than this; titles in the database may be much longer.
_SHOWN = 1_300

_CREATED_AT = moment("created_at")
_CONTENT = (
    f"type, manga_id, left(title, {_SHOWN}), left(message, {_SHOWN}), {_CREATED_AT}, {CONTENT}"
)


class EventRows(NamedTuple):
    """An event that was stored by this or another server.

    Attributes:
        xid: the transaction that stored it.
        rows: as in `inbox.Stored`.
    """

    template: DatagramTemplate
    xid: int
    rows: bytes


def key_generations(connection: sql.Connection, users: list[bytes]) -> dict[bytes, int]:
    """The generation of each user's key; unknown users are missing."""
    rows = connection.execute(
        "SELECT users.id, coalesce(generation, 0) FROM users "
        "LEFT JOIN notify_keys ON notify_keys.user_id = users.id WHERE users.id = ANY(%s)",
        ([UUID(bytes=user) for user in users],),
    ).fetchall()
    return {user.bytes: generation for user, generation in rows}


def unread_ids(
    connection: sql.Connection, users: list[bytes]
) -> tuple[dict[bytes, list[int]], Snapshot]:
    """The newest 1,000 unread ids of each user, oldest first, and what the query could see."""
    rows = connection.execute(
        "SELECT wanted.id, ARRAY(SELECT n.id FROM notifications n "
        "  WHERE n.user_id = wanted.id AND n.read IS NOT TRUE AND n.id > adoption.last_id "
        "  ORDER BY n.id DESC LIMIT %s), pg_current_snapshot()::text "
        "FROM unnest(%s::uuid[]) AS wanted (id), (SELECT coalesce(max("
        "  (value ->> 'last_notification_id')::bigint), 0) AS last_id "
        "  FROM mangahub_meta WHERE key = 'adoption') AS adoption",
        (MAX_REPLAY, [UUID(bytes=user) for user in users]),
    ).fetchall()
    return {user.bytes: sorted(ids) for user, ids, _ in rows}, parse_snapshot(rows[0][2])


class TemplateLoader:
    """Turns rows into templates. The rows of one event share one, as they did when it was live."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, datetime], DatagramTemplate] = OrderedDict()

    def load(self, connection: sql.Connection, ids: list[int]) -> dict[int, DatagramTemplate]:
        """The template of each row; rows that are gone are missing."""
        query = (
            f"SELECT id, event_id, {_CREATED_AT} FROM notifications WHERE id = ANY(%s::bigint[])"
        )
        rows = connection.execute(query.encode(), (ids,)).fetchall()
        keys = {id: (event_id or f"row:{id}", created_at) for id, event_id, created_at in rows}
        missing = {key: id for id, key in keys.items() if key not in self._cache}
        fresh = _render(connection, missing)
        known = {id: fresh.get(key) or self._cache.get(key) for id, key in keys.items()}
        self._remember(fresh)
        return {id: template for id, template in known.items() if template is not None}

    def _remember(self, fresh: dict[tuple[str, datetime], DatagramTemplate]) -> None:
        self._cache.update((k, n) for k, n in fresh.items() if not k[0].startswith("row:"))
        while len(self._cache) > _CACHED_TEMPLATES:
            self._cache.popitem(last=False)


def _render(
    connection: sql.Connection, missing: dict[tuple[str, datetime], int]
) -> dict[tuple[str, datetime], DatagramTemplate]:
    """One row's content at a time: each may be as large as a POST."""
    if not missing:
        return {}
    key_of = {id: key for key, id in missing.items()}
    query = f"SELECT id, {_CONTENT} FROM notifications WHERE id = ANY(%s::bigint[])"
    with connection.cursor() as cursor:
        found = cursor.stream(query.encode(), (list(key_of),))
        return {key_of[id]: _template(content) for id, *content in found}


def _template(content: list[Any]) -> DatagramTemplate:
    """A row that another program stored may lack anything but its message."""
    kind, manga_id, title, message, created_at, stored = content
    timestamp = protocol.timestamp(created_at) if created_at else ""
    fields = (kind or "NOTIFICATION", manga_id or 0, title or "", message or "", timestamp)
    data, changes = read_content(stored)
    try:
        return make_template(*fields, data, changes)
    except ValueError:  # half a surrogate pair, which `json` takes and UTF-8 does not
        return make_template(*fields, {}, [])


def load_event(connection: sql.Connection, event_id: str) -> EventRows | None:
    """A stored event; None where there is none, or it had no recipients."""
    receipt = connection.execute(
        "SELECT xmin::text::bigint, pg_current_snapshot()::text FROM notification_receipts "
        "WHERE event_id = %s",
        (event_id,),
    ).fetchone()
    query = f"SELECT {_CONTENT} FROM notifications WHERE event_id = %s LIMIT 1"
    content = connection.execute(query.encode(), (event_id,)).fetchone()
    rows = connection.execute(
        "SELECT string_agg(int8send(id) || uuid_send(user_id), ''::bytea) FROM notifications "
        "WHERE event_id = %s AND user_id IS NOT NULL",
        (event_id,),
        binary=True,
    ).fetchone()
    if receipt is None or content is None or rows is None or rows[0] is None:
        return None
    xid = full_xid(receipt[0], parse_snapshot(receipt[1]))
    return EventRows(_template(list(content)), xid, rows[0])
