"""Entries that are kept until they are matched, and what became of them: SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

import sql
from readers.lists.entries.entry import Entry
from readers.lists.entries.listed import ListedTitle
from readers.lists.matching import Match
from readers.users import User

OPEN = ("wanted", "doubtful", "unmatched")
_ENTRY = (
    "title, other_titles, author, status, progress, mangadex_id, legacy_id, ids, listed_at,"
    " is_oneshot"
)
_COLUMNS = f"{_ENTRY}, state, match, candidates, why, manga_id"
# Only what differs; what is matched or decided stays so.
_KEEP = f"""
INSERT INTO import_entries AS kept (user_id, entry_key, {_COLUMNS})
SELECT %(user)s, entry_key, {_COLUMNS} FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (
    entry_key text, title text, other_titles text[], author text, status text, progress numeric,
    mangadex_id uuid, legacy_id integer, ids jsonb, listed_at timestamptz, is_oneshot boolean,
    state text, match text, candidates bigint[], why text, manga_id bigint)
ON CONFLICT (user_id, entry_key) DO UPDATE SET
    ({_COLUMNS}, updated_at) = (SELECT {{excluded}}, now())
WHERE kept.state IN {OPEN} AND ({{kept}}) IS DISTINCT FROM ({{excluded}})
""".format(
    kept=", ".join(f"kept.{name}" for name in _COLUMNS.split(", ")),
    excluded=", ".join(f"excluded.{name}" for name in _COLUMNS.split(", ")),
)


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """A row of `import_entries`.

    Attributes:
        match: as it was found last; matched too where the reader decided for a title.
        is_decided: by the reader, for a title or for none.
    """

    id: int
    key: str
    entry: Entry
    match: Match
    is_decided: bool


def read_kept(connection: sql.Connection, user: User, keys: Sequence[str]) -> dict[str, KeptEntry]:
    """Return a reader's kept entries by key."""
    rows = connection.execute(
        f"SELECT id, entry_key, {_COLUMNS} FROM import_entries"
        " WHERE user_id = %s AND entry_key = ANY(%s)".encode(),
        [user.id, list(keys)],
    ).fetchall()
    return {row[1]: _kept(row) for row in rows}


def read_entry(connection: sql.Connection, user: User, entry_id: int) -> KeptEntry | None:
    """Return one entry of a reader that is not matched yet."""
    row = connection.execute(
        f"SELECT id, entry_key, {_COLUMNS} FROM import_entries"
        " WHERE user_id = %s AND id = %s AND state = ANY(%s) FOR UPDATE".encode(),
        [user.id, entry_id, list(OPEN)],
    ).fetchone()
    return _kept(row) if row else None


def read_open(connection: sql.Connection, states: Sequence[str]) -> dict[User, list[KeptEntry]]:
    """Return the entries of all readers that are in one of these states."""
    rows = connection.execute(
        f"SELECT users.id, users.username, e.id, entry_key, {_COLUMNS} FROM import_entries e"
        " JOIN users ON users.id = user_id WHERE state = ANY(%s) ORDER BY users.id, e.id".encode(),
        [list(states)],
    ).fetchall()
    found: dict[User, list[KeptEntry]] = {}
    for row in rows:
        found.setdefault(User(*row[:2]), []).append(_kept(row[2:]))
    return found


def _kept(row: Sequence[Any]) -> KeptEntry:
    title, others, author, status, progress, mangadex_id, legacy_id, ids, listed_at, is_oneshot = (
        row[2:12]
    )
    state, by, _, why, manga_id = row[12:]
    entry = Entry(
        title=title,
        other_titles=tuple(others),
        author=author,
        status=status,
        progress=progress,
        mangadex_id=mangadex_id,
        legacy_id=legacy_id,
        ids=ids,
        listed_at=listed_at,
        is_oneshot=is_oneshot,
    )
    is_decided = state == "decided"
    if is_decided:
        state = "unmatched" if manga_id is None else "matched"
    return KeptEntry(row[0], row[1], entry, Match(state, by, manga_id, why=why), is_decided)


def keep(connection: sql.Connection, user: User, found: Iterable[tuple[str, Entry, Match]]) -> None:
    """Store entries with what was found for them, by their keys."""
    rows = [_row(*each) for each in found]
    if rows:
        connection.execute(_KEEP.encode(), {"user": user.id, "rows": Jsonb(rows)})


def _row(key: str, entry: Entry, match: Match) -> Mapping[str, object]:
    return {
        "entry_key": key,
        "title": entry.title,
        "other_titles": entry.other_titles,
        "author": entry.author,
        "status": entry.status,
        "progress": None if entry.progress is None else str(entry.progress),
        "mangadex_id": entry.mangadex_id and str(entry.mangadex_id),
        "legacy_id": entry.legacy_id,
        "ids": dict(entry.ids),
        "listed_at": entry.listed_at and entry.listed_at.isoformat(),
        "is_oneshot": entry.is_oneshot,
        "state": match.state,
        "match": match.by,
        "candidates": [candidate.manga_id for candidate in match.candidates],
        "why": match.why,
        "manga_id": match.manga_id,
    }


def export_open(connection: sql.Connection, user: User) -> list[ListedTitle]:
    """Return what of a reader's lists has no title here, as the lists had it."""
    rows = connection.execute(
        "SELECT title, author, mangadex_id, status, coalesce(progress, 0), ids"
        " FROM import_entries WHERE user_id = %s AND state = ANY(%s) ORDER BY id",
        [user.id, ["doubtful", "unmatched"]],
    ).fetchall()
    return [ListedTitle(*row) for row in rows]
