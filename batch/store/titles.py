"""Titles in the database: `manga`, `genres`, `manga_genres`; SQL beside its row mapping.

A page is stored by a few statements over arrays. What PostgreSQL refuses is found by storing the
page's titles one by one, each behind a savepoint, so that it costs its neighbours nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

import sql
from batch.errors import BatchError
from batch.models import Manga, Rejected
from batch.rules import slugs
from sql import Connection

# Writers of titles take turns: a page takes some 20 ms, and two that choose slugs or upsert the
# same titles in another order would collide or deadlock.
_STORE_LOCK = 0x6D68_7374


@dataclass(frozen=True, slots=True)
class StoredManga:
    """A title as the database has it."""

    id: int
    mangadex_id: UUID
    title: str
    description: str | None
    author: str | None
    status: str | None
    total_chapters: int | None
    cover_url: str | None
    numbering_restarts: bool
    version: int | None
    first_synced_at: datetime | None
    last_synced_at: datetime | None
    unavailable_at: datetime | None
    genres: frozenset[str]


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of a page of titles: MangaDex id → `manga.id`, or why not."""

    inserted: dict[UUID, int] = field(default_factory=dict)
    updated: dict[UUID, int] = field(default_factory=dict)
    unchanged: dict[UUID, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, other: StoreResult) -> None:
        self.inserted.update(other.inserted)
        self.updated.update(other.updated)
        self.unchanged.update(other.unchanged)
        self.rejected.extend(other.rejected)


def read_manga(connection: Connection, mangadex_ids: Iterable[UUID]) -> dict[UUID, StoredManga]:
    """The titles that are stored, by MangaDex id."""
    rows = connection.execute(
        "SELECT id, mangadex_id, title, description, author, status, total_chapters, cover_url,"
        " numbering_restarts, mangadex_version, first_synced_at, last_synced_at, unavailable_at,"
        " ARRAY(SELECT g.name FROM manga_genres mg JOIN genres g ON g.id = mg.genre_id"
        "  WHERE mg.manga_id = manga.id)"
        " FROM manga WHERE mangadex_id = ANY(%s) ORDER BY id",
        [list(mangadex_ids)],
    ).fetchall()
    stored = (StoredManga(*(*row[:-1], frozenset(row[-1]))) for row in rows)
    return {manga.mangadex_id: manga for manga in stored}


def take_turn(connection: Connection) -> None:
    """Until the transaction ends, no other process writes titles or their chapters."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_STORE_LOCK])


def store_manga(connection: Connection, mangas: Sequence[Manga], now: datetime) -> StoreResult:
    """Inserts or updates titles and their genre links, in the caller's transaction.

    A title keeps its slug. `total_chapters` never falls. `last_synced_at` is set for all,
    `first_synced_at` once. Of a title that comes twice the last one counts.

    Raises:
        BatchError: the database takes no title at all, for want of a right or of a column.
    """
    unique = list({manga.mangadex_id: manga for manga in mangas}.values())
    if not unique:
        return StoreResult()
    take_turn(connection)
    try:
        with connection.transaction():
            return _store_set(connection, unique, now)
    except sql.REJECTIONS:
        return _store_singly(connection, unique, now)
    except psycopg.ProgrammingError as exc:
        raise BatchError(f"titles cannot be stored: {sql.one_line(exc)}") from exc


def _store_singly(connection: Connection, mangas: Sequence[Manga], now: datetime) -> StoreResult:
    result = StoreResult()
    for manga in mangas:
        try:
            with connection.transaction():
                result.add(_store_set(connection, [manga], now))
        except sql.REJECTIONS as exc:
            reason = f"the database refuses it: {sql.one_line(exc)}"
            result.rejected.append(Rejected(str(manga.mangadex_id), reason))
    return result


def _store_set(connection: Connection, mangas: Sequence[Manga], now: datetime) -> StoreResult:
    known = _known_ids(connection, mangas)
    new = [manga for manga in mangas if manga.mangadex_id not in known]
    chosen = _free_slugs(connection, new)
    changed = _upsert(connection, mangas, chosen, now)
    ids = known | changed
    changed |= {key: ids[key] for key in _link_genres(connection, mangas, ids)}
    _mark_seen(connection, mangas, now)
    fresh = {key: value for key, value in ids.items() if key not in known}
    updated = {key: value for key, value in changed.items() if key in known}
    unchanged = {key: value for key, value in known.items() if key not in updated}
    return StoreResult(fresh, updated, unchanged)


def _known_ids(connection: Connection, mangas: Sequence[Manga]) -> dict[UUID, int]:
    rows = connection.execute(
        "SELECT mangadex_id, id FROM manga WHERE mangadex_id = ANY(%s)",
        [[manga.mangadex_id for manga in mangas]],
    ).fetchall()
    return dict(rows)


def _free_slugs(connection: Connection, mangas: Sequence[Manga]) -> dict[UUID, str]:
    wanted = [(manga.mangadex_id, manga.title) for manga in mangas]
    tried = [slug for mangadex_id, title in wanted for slug in slugs.candidates(title, mangadex_id)]
    rows = connection.execute("SELECT slug FROM manga WHERE slug = ANY(%s)", [tried]).fetchall()
    return slugs.choose(wanted, {row[0] for row in rows})


_UPSERT = """
INSERT INTO manga AS m (
    mangadex_id, slug, title, description, author, status, total_chapters, cover_url,
    content_rating, numbering_restarts, mangadex_version, last_synced_at, first_synced_at
)
SELECT *, %(now)s, %(now)s FROM unnest(
    %(mangadex_id)s::uuid[], %(slug)s::text[], %(title)s::text[], %(description)s::text[],
    %(author)s::text[], %(status)s::text[], %(total_chapters)s::integer[], %(cover_url)s::text[],
    %(content_rating)s::text[], %(numbering_restarts)s::boolean[], %(version)s::integer[]
)
ON CONFLICT (mangadex_id) DO UPDATE SET
    title = excluded.title, description = excluded.description, author = excluded.author,
    status = excluded.status, cover_url = excluded.cover_url,
    total_chapters = greatest(m.total_chapters, excluded.total_chapters),
    content_rating = excluded.content_rating, numbering_restarts = excluded.numbering_restarts,
    mangadex_version = excluded.mangadex_version, last_synced_at = excluded.last_synced_at,
    first_synced_at = coalesce(m.first_synced_at, excluded.first_synced_at),
    unavailable_at = NULL, missing_since = NULL
WHERE (m.title, m.description, m.author, m.status, m.cover_url, m.total_chapters,
       m.content_rating, m.numbering_restarts, m.mangadex_version, m.first_synced_at,
       m.unavailable_at, m.missing_since)
   IS DISTINCT FROM
      (excluded.title, excluded.description, excluded.author, excluded.status,
       excluded.cover_url, greatest(m.total_chapters, excluded.total_chapters),
       excluded.content_rating, excluded.numbering_restarts, excluded.mangadex_version,
       coalesce(m.first_synced_at, excluded.first_synced_at), NULL, NULL)
RETURNING mangadex_id, id
"""


def _upsert(
    connection: Connection, mangas: Sequence[Manga], chosen: dict[UUID, str], now: datetime
) -> dict[UUID, int]:
    """Writes what is new or differs; returns those rows."""
    parameters: dict[str, object] = {
        name: [getattr(manga, name) for manga in mangas]
        for name in (
            "mangadex_id",
            "title",
            "description",
            "author",
            "status",
            "total_chapters",
            "cover_url",
            "content_rating",
            "numbering_restarts",
            "version",
        )
    }
    # A known title takes its conflict branch, which leaves the slug alone.
    parameters["slug"] = [chosen.get(m.mangadex_id, m.mangadex_id.hex) for m in mangas]
    parameters["now"] = now
    return dict(connection.execute(_UPSERT, parameters).fetchall())


_LINK_GENRES = """
WITH named AS (
    SELECT * FROM unnest(%(manga_id)s::bigint[], %(name)s::text[]) AS n (manga_id, name)
), wanted AS (
    SELECT named.manga_id, genres.id AS genre_id FROM named JOIN genres USING (name)
), gone AS (
    DELETE FROM manga_genres mg
    WHERE mg.manga_id = ANY(%(all)s) AND NOT EXISTS (
        SELECT FROM wanted w WHERE w.manga_id = mg.manga_id AND w.genre_id = mg.genre_id)
    RETURNING mg.manga_id
), come AS (
    -- A database that was adopted with pairs stored twice has no unique key over them.
    INSERT INTO manga_genres (manga_id, genre_id) SELECT manga_id, genre_id FROM wanted w
    WHERE NOT EXISTS (SELECT FROM manga_genres mg
                      WHERE mg.manga_id = w.manga_id AND mg.genre_id = w.genre_id)
    ON CONFLICT DO NOTHING
    RETURNING manga_id
)
SELECT manga_id FROM gone UNION SELECT manga_id FROM come
"""


def _link_genres(
    connection: Connection, mangas: Sequence[Manga], ids: dict[UUID, int]
) -> list[UUID]:
    """Makes the links equal to the tags; returns the titles whose links changed."""
    names = sorted({name for manga in mangas for name in manga.genres})
    connection.execute(
        # Only what is missing: a conflict would also use up a number of the sequence.
        "INSERT INTO genres (name) SELECT wanted.name FROM unnest(%s::text[]) AS wanted (name)"
        " WHERE NOT EXISTS (SELECT FROM genres WHERE genres.name = wanted.name)"
        " ON CONFLICT (name) DO NOTHING",
        [names],
    )
    pairs = [(ids[manga.mangadex_id], name) for manga in mangas for name in manga.genres]
    rows = connection.execute(
        _LINK_GENRES,
        {
            "manga_id": [manga_id for manga_id, _ in pairs],
            "name": [name for _, name in pairs],
            "all": [ids[manga.mangadex_id] for manga in mangas],
        },
    ).fetchall()
    changed = {row[0] for row in rows}
    return [m.mangadex_id for m in mangas if ids[m.mangadex_id] in changed]


def _mark_seen(connection: Connection, mangas: Sequence[Manga], now: datetime) -> None:
    connection.execute(
        "UPDATE manga SET last_synced_at = %s"
        " WHERE mangadex_id = ANY(%s) AND last_synced_at IS DISTINCT FROM %s",
        [now, [manga.mangadex_id for manga in mangas], now],
    )
