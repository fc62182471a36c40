"""What a reader decides of entries that were not matched: SQL."""

from __future__ import annotations

import sql
from readers.errors import NoSuchEntry
from readers.lists import kept, store
from readers.users import User

_DECIDE = """
UPDATE import_entries SET state = 'decided', manga_id = %s, candidates = '{}', updated_at = now()
WHERE user_id = %s AND id = %s AND state = ANY(%s)
"""


def decide(connection: sql.Connection, user: User, entry_id: int, manga_id: int | None) -> None:
    """Settle an entry for good; its title comes into the library with the list's standing.

    Args:
        manga_id: None if the entry is none of the titles here, and is not to be asked for again.

    Raises:
        NoSuchEntry: the reader has no such open entry, or there is no such title.
    """
    with connection.transaction():
        store.lock_reader(connection, user)
        entry = kept.read_entry(connection, user, entry_id)
        if entry is None:
            raise NoSuchEntry("this entry is settled already")
        if manga_id is not None:
            _require_title(connection, manga_id)
            store.add_titles(connection, user, {manga_id: entry.entry})
        connection.execute(_DECIDE, [manga_id, user.id, entry_id, list(kept.OPEN)])


def _require_title(connection: sql.Connection, manga_id: int) -> None:
    query = "SELECT FROM manga WHERE id = %s"
    if connection.execute(query, [manga_id]).fetchone() is None:
        raise NoSuchEntry(f"there is no title with the id {manga_id}")
