"""A reader's notifications, unread ones first: SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sql
from readers import unread
from readers.datagram import Content
from readers.foreign_rows import CONTENT, read_content


@dataclass(frozen=True, slots=True)
class Item:
    """A notification, and the title that it is about as it is called now.

    Attributes:
        slug: None where the title is not in the catalogue any more.
    """

    id: int
    is_read: bool
    content: Content
    slug: str | None
    is_known: bool


# Of what is unread nothing lies below the reader's mark.
_ITEMS = f"""
SELECT n.*, m.slug, m.id IS NOT NULL
FROM (SELECT id, read, {CONTENT} FROM notifications
      WHERE user_id = %(user)s AND id < %(before)s AND {{state}}
      ORDER BY id DESC LIMIT %(limit)s) AS n
LEFT JOIN manga m ON m.id = n.manga_id ORDER BY n.id DESC"""


def list_items(
    connection: sql.Connection, user_id: UUID, is_read: bool, before: int, limit: int
) -> list[Item]:
    """Return the newest notifications that are read, or those that are not.

    Args:
        before: only those with a lower id.
    """
    is_unread = f"read IS NOT TRUE AND id > {unread.read_up_to('%(user)s')}"
    query = _ITEMS.format(state="read IS TRUE" if is_read else is_unread)
    values = {"user": user_id, "before": before, "limit": limit}
    return [_item(row) for row in connection.execute(query.encode(), values)]


def mark(connection: sql.Connection, user_id: UUID, ids: Sequence[int], is_read: bool) -> list[int]:
    """Mark notifications of this user as read, or as unread; return those that were not so."""
    rows = connection.execute(
        "UPDATE notifications SET read = %(read)s WHERE user_id = %(user)s AND id = ANY (%(ids)s)"
        " AND coalesce(read, false) <> %(read)s RETURNING id",
        {"user": user_id, "ids": list(ids), "read": is_read},
    )
    return sorted(id for (id,) in rows)


def _item(row: Sequence[Any]) -> Item:
    id, is_read, *content, slug, is_known = row
    return Item(id, bool(is_read), read_content(content), slug, is_known)
