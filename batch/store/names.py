"""SQL of what a title has beside its columns: all its names, its ids at other sites, its changes.

A set of titles is stored by one statement a table, and only what differs is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg.types.json import Jsonb

from batch.models import Manga
from batch.rules.titles import Change
from sql import Connection

_STORE_TITLES = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%(manga_id)s::bigint[], %(language)s::text[], %(title)s::text[])
        AS g (manga_id, language, title)
), gone AS (
    DELETE FROM manga_titles t WHERE t.manga_id = ANY(%(all)s::bigint[])
    AND (t.manga_id, t.language, t.title) NOT IN (SELECT manga_id, language, title FROM given)
)
INSERT INTO manga_titles (manga_id, language, title) SELECT manga_id, language, title FROM given
WHERE (manga_id, language, title) NOT IN (
    SELECT manga_id, language, title FROM manga_titles WHERE manga_id = ANY(%(all)s::bigint[]))
ON CONFLICT DO NOTHING
"""

# A link that the source takes away is kept with its end: lists of readers may still name it.
_STORE_LINKS = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%(manga_id)s::bigint[], %(site)s::text[], %(external_id)s::text[])
        AS g (manga_id, site, external_id)
), known AS MATERIALIZED (
    SELECT * FROM manga_links WHERE manga_id = ANY(%(all)s::bigint[])
), gone AS (
    UPDATE manga_links l SET until = %(now)s FROM known k
    WHERE (l.manga_id, l.site, l.external_id) = (k.manga_id, k.site, k.external_id)
    AND l.until IS NULL
    AND (k.manga_id, k.site, k.external_id) NOT IN (SELECT manga_id, site, external_id FROM given)
    RETURNING l.manga_id, l.site, l.external_id
), come AS (
    INSERT INTO manga_links AS l (manga_id, site, external_id)
    SELECT manga_id, site, external_id FROM given
    WHERE (manga_id, site, external_id) NOT IN (
        SELECT manga_id, site, external_id FROM known WHERE until IS NULL)
    ON CONFLICT (manga_id, site, external_id) DO UPDATE SET until = NULL
    RETURNING l.manga_id, l.site, l.external_id
)
INSERT INTO manga_changes (manga_id, field, old_value, new_value, changed_at)
SELECT manga_id, 'links.' || site, to_jsonb(gone.external_id), to_jsonb(come.external_id), %(now)s
FROM gone FULL JOIN come USING (manga_id, site)
WHERE manga_id IN (SELECT manga_id FROM known)  -- else they are filled for the first time
"""


def store_names(
    connection: Connection, mangas: Sequence[Manga], ids: Mapping[UUID, int], now: object
) -> None:
    """Make names and links equal to the source's; `ids` are those of `manga.id`.

    What changed of the links of a title that had some goes into `manga_changes`.
    """
    everything = [ids[manga.mangadex_id] for manga in mangas]
    titles = [(ids[m.mangadex_id], *each) for m in mangas for each in m.titles]
    links = [(ids[m.mangadex_id], *each) for m in mangas for each in m.links]
    for statement, rows, second, third in (
        (_STORE_TITLES, titles, "language", "title"),
        (_STORE_LINKS, links, "site", "external_id"),
    ):
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
        values = dict(zip(("manga_id", second, third), columns, strict=True))
        connection.execute(statement.encode(), {**values, "all": everything, "now": now})


def record_changes(
    connection: Connection, changed: Sequence[tuple[int, Change]], now: object
) -> None:
    """Record changes of titles, by `manga.id`, with their old and new values."""
    if not changed:
        return
    connection.execute(
        "INSERT INTO manga_changes (manga_id, field, old_value, new_value, changed_at)"
        " SELECT manga_id, field, old_value, new_value, %s"
        " FROM unnest(%s::bigint[], %s::text[], %s::jsonb[], %s::jsonb[])"
        "  AS c (manga_id, field, old_value, new_value)",
        [
            now,
            [manga_id for manga_id, _ in changed],
            [change.field for _, change in changed],
            [Jsonb(change.old_value) for _, change in changed],
            [Jsonb(change.new_value) for _, change in changed],
        ],
    )
