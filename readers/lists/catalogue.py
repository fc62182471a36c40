"""What the catalogue has for entries of lists: SQL.

All entries of a list are looked up together. Names are read once, a stream of them, and only where
an entry has neither id nor link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

import sql
from readers.lists.entries import sites
from readers.lists.entries.entry import Entry
from readers.lists.entries.titles import normalise
from readers.lists.matching import CatalogueTitle, Hits, Match, decide, names_of, needs_names
from readers.lists.similarity import NameIndex

_ROWS_AT_ONCE = 5_000
_LINKS = """
SELECT given.n, given.site, manga_id, until IS NULL FROM unnest(
    %(numbers)s::integer[], %(sites)s::text[], %(ids)s::text[]) AS given (n, site, external_id)
JOIN manga_links l ON l.site = given.site AND l.external_id = given.external_id
"""
# The main name is in `manga` alone where a title was adopted.
_NAMES = """
SELECT manga_id, title FROM manga_titles
UNION ALL
SELECT id, title FROM manga WHERE NOT EXISTS (
    SELECT FROM manga_titles t WHERE t.manga_id = manga.id AND t.title = manga.title)
"""
_TITLES = """
SELECT id, manga.title, coalesce(author, ''),
       ARRAY(SELECT t.title FROM manga_titles t WHERE t.manga_id = manga.id)
FROM manga WHERE id = ANY(%s::bigint[])
"""


def match_entries(
    connection: sql.Connection, entries: Sequence[Entry], check: Callable[[], None] = lambda: None
) -> list[Match]:
    """Return for each entry what it is.

    Args:
        check: called now and then; what it raises ends the search.
    """
    hits = _find_ids(connection, entries)
    _find_links(connection, entries, hits)
    by_name = [n for n, entry in enumerate(entries) if needs_names(entry, hits[n])]
    wanted = {n: names_of(entries[n]) for n in by_name}
    for n, near in _near_names(connection, wanted, check).items():
        hits[n].by_name = near
    titles = _read_titles(connection, {id for each in hits for id in _ids_of(each)})
    return [decide(entry, hit, titles) for entry, hit in zip(entries, hits, strict=True)]


def _ids_of(hits: Hits) -> set[int]:
    by_id = set() if hits.by_id is None else {hits.by_id}
    return by_id.union(hits.by_name, *hits.by_site.values())


def _find_ids(connection: sql.Connection, entries: Sequence[Entry]) -> list[Hits]:
    wanted = list({entry.mangadex_id for entry in entries if entry.mangadex_id})
    rows = connection.execute(
        "SELECT mangadex_id, id FROM manga WHERE mangadex_id = ANY(%s)", [wanted]
    ).fetchall()
    known: dict[UUID | None, int] = dict(rows)
    return [Hits(by_id=known.get(entry.mangadex_id)) for entry in entries]


def _find_links(connection: sql.Connection, entries: Sequence[Entry], hits: Sequence[Hits]) -> None:
    """Fill in the titles that link each entry's ids; removed links count where no live one does."""
    given = [
        (n, site, spelling)
        for n, entry in enumerate(entries)
        if not entry.mangadex_id and not entry.legacy_id
        for site, id in entry.ids.items()
        for spelling in sites.spellings(site, id)
    ]
    if not given:
        return
    numbers, codes, ids = (list(column) for column in zip(*given, strict=True))
    rows = connection.execute(_LINKS, {"numbers": numbers, "sites": codes, "ids": ids}).fetchall()
    live = {(n, site) for n, site, _, is_live in rows if is_live}
    for n, site, manga_id, is_live in rows:
        if is_live or (n, site) not in live:
            hits[n].by_site.setdefault(site, set()).add(manga_id)


def _near_names(
    connection: sql.Connection, wanted: Mapping[int, set[str]], check: Callable[[], None]
) -> dict[int, dict[int, float]]:
    """Return, for each number, the titles that have one of its names, or else names near them.

    Args:
        wanted: normalised names by any number.
    """
    askers: dict[str, list[int]] = {}
    for n, names in wanted.items():
        for name in names:
            askers.setdefault(name, []).append(n)
    if not askers:
        return {}
    found: dict[int, dict[int, float]] = {}
    index = NameIndex()
    for manga_id, name in _stream_names(connection):
        index.add(name, manga_id)
        for n in askers.get(name, ()):
            found.setdefault(n, {})[manga_id] = 100.0
    for n, names in wanted.items():
        check()
        if n not in found and (near := index.near(names)):
            found[n] = near
    return found


def _stream_names(connection: sql.Connection) -> Iterator[tuple[int, str]]:
    """Yield the names of the catalogue, normalised."""
    with connection.transaction(), connection.cursor("names") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(_NAMES)
        for manga_id, title in cursor:
            yield manga_id, normalise(title)


def _read_titles(connection: sql.Connection, ids: set[int]) -> dict[int, CatalogueTitle]:
    rows = connection.execute(_TITLES, [list(ids)]).fetchall() if ids else []
    return {
        id: CatalogueTitle(id, title, frozenset(map(normalise, (title, *names))), author)
        for id, title, author, names in rows
    }
