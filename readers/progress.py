"""How far a reader has read a title: SQL."""

from __future__ import annotations

from decimal import Decimal

import sql
from readers import library, unread
from readers.users import User


def set_progress(
    connection: sql.Connection, user: User, title: library.TitleRow, number: Decimal
) -> int:
    """Store the chapter up to which a title is read; notifications up to it become read.

    `user_progress` is MangaHub's own table, and has whole numbers.

    Returns:
        how many notifications became read.
    """
    values = {"user": user.id, "manga": title.id, "number": number, "whole": int(number)}
    with connection.transaction():
        connection.execute(
            "INSERT INTO user_progress (user_id, manga_id, current_chapter, updated_at)"
            " VALUES (%(user)s, %(manga)s, %(whole)s, now())"
            " ON CONFLICT (user_id, manga_id) DO UPDATE"
            " SET current_chapter = excluded.current_chapter, updated_at = now()",
            values,
        )
        return mark_read(connection, user, [title.id], [number])


def mark_read(
    connection: sql.Connection, user: User, manga_ids: list[int], numbers: list[Decimal]
) -> int:
    """Mark the notifications of chapters up to each title's number as read; return how many."""
    query = (
        "UPDATE notifications n SET read = true"
        " FROM unnest(%(manga)s::bigint[], %(numbers)s::numeric[]) AS given (manga_id, number)"
        f" WHERE n.user_id = %(user)s AND n.id > {unread.read_up_to('%(user)s')}"
        " AND n.manga_id = given.manga_id AND type = 'NEW_CHAPTER' AND read IS NOT TRUE"
        " AND CASE WHEN jsonb_typeof(data -> 'data' -> 'chapter') = 'number'"
        "  THEN (data -> 'data' ->> 'chapter')::numeric <= given.number ELSE false END"
    )
    values = {"user": user.id, "manga": manga_ids, "numbers": numbers}
    return connection.execute(query.encode(), values).rowcount
