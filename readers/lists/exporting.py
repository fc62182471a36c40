"""Take a list along: a reader's library with all that identifies its titles elsewhere: SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sql
from readers.lists.entries.entry import STATUSES
from readers.lists.entries.listed import ListedTitle
from readers.lists.entries.titles import clean
from readers.lists.formats import csv, json, mal, mihon
from readers.users import User

# A status that lists do not have is reading. Live links count before those that the source took
# away; chapters only for backups, which hold them.
_LIBRARY = """
SELECT manga.title, coalesce(manga.author, ''), manga.mangadex_id,
       CASE WHEN p.status <> ALL(%(statuses)s) THEN 'reading' ELSE p.status END,
       greatest(p.current_chapter, 0),
       coalesce((SELECT jsonb_object_agg(site, external_id ORDER BY until IS NULL, until)
                 FROM manga_links WHERE manga_id = manga.id), '{}'),
       library.added_at, manga.unavailable_at IS NOT NULL,
       ARRAY(SELECT mangadex_chapter_id FROM chapters c WHERE %(chapters)s
             AND c.manga_id = manga.id AND chapter_number > 0
             AND chapter_number <= p.current_chapter AND mangadex_chapter_id IS NOT NULL
             ORDER BY c.id),
       ARRAY(SELECT chapter_number FROM chapters c WHERE %(chapters)s
             AND c.manga_id = manga.id AND chapter_number > 0
             AND chapter_number <= p.current_chapter AND mangadex_chapter_id IS NOT NULL
             ORDER BY c.id)
FROM (SELECT manga_id, min(added_at) AS added_at FROM user_library WHERE user_id = %(user)s
      GROUP BY manga_id) AS library
JOIN manga ON manga.id = manga_id
LEFT JOIN user_progress p ON p.user_id = %(user)s AND p.manga_id = manga.id
ORDER BY manga.title, manga.id
"""


@dataclass(frozen=True, slots=True)
class Writer:
    """A format that can be written, which titles it can hold, and what a file of it is called."""

    write: Callable[[Iterable[ListedTitle]], bytes]
    can_hold: Callable[[ListedTitle], bool]
    suffix: str
    media_type: str


WRITERS = {
    "csv": Writer(csv.write, csv.can_hold, "csv", "text/csv; charset=utf-8"),
    "json": Writer(json.write, json.can_hold, "json", "application/json"),
    "mal": Writer(mal.write, mal.can_hold, "xml", "application/xml"),
    "mihon": Writer(mihon.write, mihon.can_hold, "tachibk", "application/octet-stream"),
}


@dataclass(frozen=True, slots=True)
class ExportedList:
    """A file's content, with how many titles it holds, and how many it cannot."""

    content: bytes
    titles: int
    left_out: int


def export_list(connection: sql.Connection, user: User, format: str) -> ExportedList:
    """Return a reader's library as a file of a format, a key of `WRITERS`."""
    writer = WRITERS[format]
    titles = read_titles(connection, user, with_chapters=format == "mihon")
    held = [title for title in titles if writer.can_hold(title)]
    return ExportedList(writer.write(held), len(held), len(titles) - len(held))


def read_titles(
    connection: sql.Connection, user: User, *, with_chapters: bool = False
) -> list[ListedTitle]:
    """Return all titles of a reader's library, also those that are gone."""
    values = {"user": user.id, "chapters": with_chapters, "statuses": list(STATUSES)}
    rows = connection.execute(_LIBRARY, values).fetchall()
    return [_listed(row) for row in rows]


def _listed(row: Sequence[Any]) -> ListedTitle:
    title, author, *facts, chapter_ids, numbers = row
    chapters = tuple(zip(chapter_ids, numbers, strict=True))
    return ListedTitle(*(clean(title), clean(author), *facts, chapters))
