"""Entries of a reader's lists that wait for a decision: SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import sql
from readers.users import User
from website.store import catalogue

STATES = ("doubtful", "unmatched", "wanted")
_MAX_TITLE = 300
_MOST_FOUND = 10

_COLUMNS = f"manga.id, left(manga.title, {_MAX_TITLE}), slug, left(author, 100), status::text"
_OPEN = f"""
SELECT id, left(title, {_MAX_TITLE}), status, progress, mangadex_id, legacy_id, ids, why, candidates
FROM import_entries WHERE user_id = %(user)s AND state = %(state)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s
"""
_SEARCH = f"""
SELECT {_COLUMNS} FROM manga JOIN title_search s ON s.manga_id = manga.id
WHERE s.words @@ %s::tsquery AND unavailable_at IS NULL
ORDER BY length(manga.title), manga.id LIMIT {_MOST_FOUND}
"""


@dataclass(frozen=True, slots=True)
class FoundTitle:
    """A title that an entry may be."""

    id: int
    title: str
    slug: str | None
    author: str | None
    status: str | None


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """An entry as its list had it, with the titles that it may be."""

    id: int
    title: str
    status: str | None
    progress: Decimal | None
    mangadex_id: UUID | None
    legacy_id: int | None
    ids: Mapping[str, str]
    why: str
    candidates: Sequence[FoundTitle]


def count_open(connection: sql.Connection, user: User) -> dict[str, int]:
    """Return how many entries are in each state that is not settled."""
    rows = connection.execute(
        "SELECT state, count(*) FROM import_entries WHERE user_id = %s GROUP BY state", [user.id]
    ).fetchall()
    counts: dict[str, int] = dict(rows)
    return {state: counts.get(state, 0) for state in STATES}


def read_open(
    connection: sql.Connection, user: User, state: str, after: int, limit: int
) -> list[OpenEntry]:
    """Return entries of a state, oldest first, from behind an id."""
    values = {"user": user.id, "state": state, "after": after, "limit": limit}
    rows = connection.execute(_OPEN.encode(), values).fetchall()
    known = _read_titles(connection, {id for row in rows for id in row[8]})
    return [OpenEntry(*(*row[:8], [known[id] for id in row[8] if id in known])) for row in rows]


def read_settled(connection: sql.Connection, user: User, entry_id: int) -> tuple[str, bool] | None:
    """Return what an entry that a reader has settled is called, and whether it is a title here."""
    row = connection.execute(
        f"SELECT left(coalesce(manga.title, nullif(e.title, ''), entry_key), {_MAX_TITLE}),"
        "  manga_id IS NOT NULL FROM import_entries e LEFT JOIN manga ON manga.id = manga_id"
        " WHERE user_id = %s AND e.id = %s AND state = 'decided'".encode(),
        [user.id, entry_id],
    ).fetchone()
    return (row[0], row[1]) if row else None


def _read_titles(connection: sql.Connection, ids: set[int]) -> dict[int, FoundTitle]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM manga WHERE id = ANY(%s::bigint[])".encode(), [list(ids)]
    ).fetchall()
    return {row[0]: FoundTitle(*row) for row in rows}


def search(connection: sql.Connection, text: str) -> list[FoundTitle]:
    """Return titles that have a name with all words of the text, the shortest first."""
    query = catalogue.read_query(connection, text)
    if query is None:
        return []
    rows = connection.execute(_SEARCH.encode(), [query.tsquery]).fetchall()
    return [FoundTitle(*row) for row in rows]
