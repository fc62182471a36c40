"""Titles that are gone at the source, and the title that takes their place in a library: SQL.

The source says of a merged or replaced title only that it is gone. A live title with its ids at
other sites, or else with its name and author, may be the same; where there is exactly one, it is
its successor. A reader decides; where two ids agree, no reader has to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import sql
from readers import telling
from readers.errors import NotFound
from readers.lists import store
from readers.lists.entries.entry import make_entry
from readers.users import User

# One id, one work: other sites are shops and pages.
SITES = {
    "al": "AniList",
    "mal": "MyAnimeList",
    "mu": "MangaUpdates",
    "kt": "Kitsu",
    "ap": "Anime-Planet",
}
_SURE_IDS = 2

# A title that several live ones may succeed has no successor.
_SUCCESSORS = """
WITH gone AS (
    SELECT DISTINCT m.id, m.title, m.author FROM user_library l JOIN manga m ON m.id = l.manga_id
    WHERE m.unavailable_at IS NOT NULL
      AND (%(user)s::uuid IS NULL OR l.user_id = %(user)s::uuid)
), linked AS (
    SELECT gone.id AS old_id, m.id AS new_id, array_agg(DISTINCT l.site ORDER BY l.site) AS sites
    FROM gone JOIN manga_links l ON l.manga_id = gone.id AND l.site = ANY (%(sites)s::text[])
    JOIN manga_links t ON t.site = l.site AND t.external_id = l.external_id AND t.until IS NULL
    JOIN manga m ON m.id = t.manga_id AND m.unavailable_at IS NULL
    GROUP BY gone.id, m.id
), named AS (
    SELECT gone.id, m.id, ARRAY[]::text[]
    FROM gone JOIN manga m ON lower(m.title) = lower(gone.title)
        AND lower(m.author) = lower(gone.author) AND m.unavailable_at IS NULL
    WHERE gone.author <> '' AND gone.id NOT IN (SELECT old_id FROM linked)
), found AS (
    SELECT *, count(*) OVER (PARTITION BY old_id) AS candidates
    FROM (TABLE linked UNION ALL TABLE named) AS both_ways
)
SELECT old_id, old.title, new_id, new.title, new.slug, sites
FROM found JOIN manga old ON old.id = old_id JOIN manga new ON new.id = new_id
WHERE candidates = 1 ORDER BY old_id
"""

_HOLDERS = """
SELECT DISTINCT users.id, username FROM user_library JOIN users ON users.id = user_id
WHERE manga_id = %s ORDER BY 1
"""

_READ_OLD = """
SELECT min(l.added_at) FILTER (WHERE l.added_at BETWEEN '1970-01-01' AND now()),
    max(p.status), max(p.current_chapter)
FROM user_library l
LEFT JOIN user_progress p ON p.user_id = l.user_id AND p.manga_id = l.manga_id
WHERE l.user_id = %(user)s AND l.manga_id = %(old)s HAVING count(*) > 0
"""

_TAKE_ALONG = (
    "INSERT INTO library_settings (user_id, manga_id, muted, languages)"
    " SELECT user_id, %(new)s, muted, languages FROM library_settings"
    " WHERE user_id = %(user)s AND manga_id = %(old)s ON CONFLICT DO NOTHING",
    "UPDATE notifications SET manga_id = %(new)s WHERE user_id = %(user)s AND manga_id = %(old)s",
    "UPDATE import_entries SET manga_id = %(new)s WHERE user_id = %(user)s AND manga_id = %(old)s",
    "DELETE FROM user_library WHERE user_id = %(user)s AND manga_id = %(old)s",
    # What led to the old title leads to the new one, and nothing leads to itself.
    "DELETE FROM manga_moves WHERE user_id = %(user)s AND old_id = %(new)s",
    "UPDATE manga_moves SET new_id = %(new)s WHERE user_id = %(user)s AND new_id = %(old)s",
    "INSERT INTO manga_moves (user_id, old_id, new_id) VALUES (%(user)s, %(old)s, %(new)s)"
    " ON CONFLICT (user_id, old_id) DO UPDATE SET new_id = excluded.new_id, moved_at = now()",
)


@dataclass(frozen=True, slots=True)
class Successor:
    """A live title that may be one that is gone.

    Attributes:
        sites: where both have the same id; none where name and author are the same.
    """

    old_id: int
    old_title: str
    new_id: int
    title: str
    slug: str | None
    sites: Sequence[str]

    @property
    def is_sure(self) -> bool:
        return len(self.sites) >= _SURE_IDS

    @property
    def why(self) -> str:
        names = ", ".join(SITES[site] for site in self.sites)
        return f"same id at {names}" if names else "same name and author"


def find_successors(connection: sql.Connection, user: User | None = None) -> dict[int, Successor]:
    """Return the only possible successor of each title that is gone, by the id of the latter.

    Args:
        user: whose library; None for all.
    """
    values = {"user": user and user.id, "sites": list(SITES)}
    rows = connection.execute(_SUCCESSORS, values).fetchall()
    return {row[0]: Successor(*row) for row in rows}


def move(connection: sql.Connection, user: User, old_id: int, new_id: int) -> None:
    """Let one title take another's place in a library, with status, progress and history.

    What the reader has of the new one stays: a status never falls back, the higher progress counts.

    Raises:
        NotFound: the old one is not in the library, or is the new one.
    """
    with connection.transaction():
        store.lock_reader(connection, user)
        values = {"user": user.id, "old": old_id, "new": new_id}
        row = connection.execute(_READ_OLD, values).fetchone()
        if row is None or old_id == new_id:
            raise NotFound("the title to be moved is not in the library, or is the same")
        added_at, status, chapter = row
        entry = make_entry(status=status, progress=chapter, listed_at=added_at)
        store.add_titles(connection, user, {new_id: entry})
        for statement in _TAKE_ALONG:
            connection.execute(statement.encode(), values)


def move_sure(connection: sql.Connection, check: Callable[[], None] = lambda: None) -> int:
    """Move every title that is gone to a successor with which two ids agree, and tell its readers.

    Args:
        check: called before each move; what it raises ends them.

    Returns:
        how many rows of libraries were moved.
    """
    count = 0
    for successor in _sure(find_successors(connection).values()):
        for row in connection.execute(_HOLDERS, [successor.old_id]).fetchall():
            check()
            with suppress(NotFound):  # the reader was quicker
                _move_and_tell(connection, User(*row), successor)
                count += 1
    return count


def _sure(successors: Iterable[Successor]) -> list[Successor]:
    return [each for each in successors if each.is_sure]


def _move_and_tell(connection: sql.Connection, user: User, found: Successor) -> None:
    with connection.transaction():
        move(connection, user, found.old_id, found.new_id)
        telling.tell(
            connection,
            user,
            "MANGA_UPDATE",
            f"move:{user.id}:{found.old_id}:{found.new_id}",
            found.new_id,
            found.title,
            f"Takes the place of {found.old_title}, which is gone at MangaDex ({found.why})",
        )
