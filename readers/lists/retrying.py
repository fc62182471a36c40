"""Match kept entries again, and tell their readers what came: SQL.

A title may have come since, or its name, or its link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import sql
from readers import telling
from readers.errors import NotFound
from readers.lists import catalogue, kept, store
from readers.lists.entries.entry import Entry, merge
from readers.lists.kept import KeptEntry
from readers.lists.matching import Match
from readers.users import User

_AT_ONCE = 1_000  # entries of one transaction, and of one notification
_NAMED = 3  # titles in one message


def retry_all(connection: sql.Connection, check: Callable[[], None] = lambda: None) -> int:
    """Match every kept entry again that is not matched; return how many are now.

    Args:
        check: called now and then; what it raises ends the search.
    """
    return _retry(connection, kept.read_open(connection, kept.OPEN), check)


def retry_wanted(connection: sql.Connection) -> int:
    """Match the entries whose MangaDex id is known: no names are read."""
    return _retry(connection, kept.read_open(connection, ("wanted",)), lambda: None)


def _retry(
    connection: sql.Connection,
    open_entries: dict[User, list[KeptEntry]],
    check: Callable[[], None],
) -> int:
    everything = [(user, each) for user, entries in open_entries.items() for each in entries]
    matches = catalogue.match_entries(connection, [each.entry for _, each in everything], check)
    found: dict[User, list[tuple[KeptEntry, Match]]] = {}
    for (user, each), match in zip(everything, matches, strict=True):
        if match.state == "matched":
            found.setdefault(user, []).append((each, match))
    for user, pairs in found.items():
        with suppress(NotFound):  # deleted meanwhile, and the entries too
            for start in range(0, len(pairs), _AT_ONCE):
                _write(connection, user, pairs[start : start + _AT_ONCE])
    return sum(map(len, found.values()))


def _write(
    connection: sql.Connection, user: User, pairs: Sequence[tuple[KeptEntry, Match]]
) -> None:
    """Put titles into the library, and tell the reader of those that were not there."""
    entries: dict[int, Entry] = {}
    titles: dict[int, str] = {}
    for each, match in pairs:
        if (id := match.manga_id) is not None:
            entries[id] = merge(entries[id], each.entry) if id in entries else each.entry
            titles[id] = match.title
    with connection.transaction():
        store.lock_reader(connection, user)
        new = store.add_titles(connection, user, dict(sorted(entries.items())))
        kept.keep(connection, user, [(each.key, each.entry, match) for each, match in pairs])
        if new:
            event_id = f"list-entry:{pairs[0][0].id}"
            _tell(connection, user, event_id, [(id, titles[id]) for id in titles if id in new])


def _tell(
    connection: sql.Connection, user: User, event_id: str, titles: Sequence[tuple[int, str]]
) -> None:
    """Store one notification, however many titles came."""
    manga_id, title = titles[0]
    names = [name for _, name in titles[:_NAMED]]
    more = f" and {len(titles) - _NAMED} more" if len(titles) > _NAMED else ""
    telling.tell(
        connection,
        user,
        "NEW_MANGA",
        event_id,
        manga_id if len(titles) == 1 else None,
        title if len(titles) == 1 else "Your list",
        f"New from your list: {', '.join(names)}{more}",
    )
