"""SQL of titles: `manga`, `genres`, `manga_genres`.

A page is stored by a few statements over arrays. Where PostgreSQL rejects one of its titles, they
are stored one by one, each behind a savepoint, so that its neighbours are stored all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

import sql
from batch.errors import BatchError
from batch.models import Manga, Rejected
from batch.rules import slugs
from batch.rules.titles import Change, StoredTitle, find_changes, keep_covers
from batch.store import names
from sql import Connection

FUTURE = timedelta(hours=1)  # later than any run that is under way set its dates

# Writers of titles take turns: a page takes some 20 ms, and two that choose slugs or upsert the
# same titles in another order would collide or deadlock.
_STORE_LOCK = 0x6D68_7374


@dataclass(frozen=True, slots=True)
class StoredPage:
    """What became of a page of titles: `manga.id` by MangaDex id, or the reason why not.

    Attributes:
        before: those that were known, as they were stored until then.
    """

    inserted: dict[UUID, int] = field(default_factory=dict)
    updated: dict[UUID, int] = field(default_factory=dict)
    unchanged: dict[UUID, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    before: dict[UUID, StoredTitle] = field(default_factory=dict)

    def add(self, other: StoredPage) -> None:
        self.inserted.update(other.inserted)
        self.updated.update(other.updated)
        self.unchanged.update(other.unchanged)
        self.rejected.extend(other.rejected)
        self.before.update(other.before)

    @property
    def ids(self) -> list[UUID]:
        """The titles that the database has now."""
        return [*self.inserted, *self.updated, *self.unchanged]


def read_stored(connection: Connection, mangadex_ids: Iterable[UUID]) -> dict[UUID, StoredTitle]:
    """Return those of the titles that are stored, by MangaDex id."""
    rows = connection.execute(
        "SELECT id, mangadex_id, title, status, cover_url, mangadex_version FROM manga"
        " WHERE mangadex_id = ANY(%s)",
        [list(mangadex_ids)],
    ).fetchall()
    return {row[1]: StoredTitle(*row) for row in rows}


def read_due(connection: Connection, before: datetime, now: datetime) -> list[tuple[UUID, bool]]:
    """Return the titles not synced since `before`, and whether each is unavailable.

    The longest unsynced come first, unavailable ones last. A date to come tells nothing: some
    clock was wrong, or another program wrote `infinity`.
    """
    return connection.execute(
        "SELECT mangadex_id, unavailable_at IS NOT NULL FROM manga WHERE mangadex_id IS NOT NULL"
        " AND (last_synced_at IS NULL OR last_synced_at <= %s OR last_synced_at > %s)"
        " ORDER BY unavailable_at IS NOT NULL, last_synced_at NULLS FIRST, id",
        [before, now + FUTURE],
    ).fetchall()


def read_first_sync(connection: Connection, after: datetime | None = None) -> datetime | None:
    """Return when the first title was synced, or the first after a moment; None without any."""
    row = connection.execute(
        "SELECT date_trunc('second', min(first_synced_at)) FROM manga WHERE mangadex_id IS NOT NULL"
        " AND (%(after)s::timestamptz IS NULL OR first_synced_at > %(after)s)",
        {"after": after},
    ).fetchone()
    return row[0] if row else None


def mark_missing(
    connection: Connection, missing: Sequence[UUID], started_at: datetime, now: datetime
) -> int:
    """Mark titles as missing; those that were missing before `started_at` become unavailable.

    Returns:
        how many became unavailable.
    """
    if not missing:
        return 0
    newly_unavailable = connection.execute(
        "UPDATE manga SET unavailable_at = %s WHERE mangadex_id = ANY(%s)"
        " AND missing_since < %s AND unavailable_at IS NULL",
        [now, list(missing), started_at],
    ).rowcount
    connection.execute(
        "UPDATE manga SET missing_since = %s WHERE mangadex_id = ANY(%s) AND missing_since IS NULL",
        [now, list(missing)],
    )
    return newly_unavailable


def take_turn(connection: Connection) -> None:
    """Keep other processes from writing titles or chapters until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_STORE_LOCK])


def store_manga(
    connection: Connection,
    mangas: Sequence[Manga],
    now: datetime,
    first_synced_at: datetime | None = None,
) -> StoredPage:
    """Insert or update titles and their genre links, in the caller's transaction.

    A title keeps its slug, and its cover where the answer has none. `total_chapters` never falls.
    Where a title comes twice, the last one counts.

    Args:
        now: `last_synced_at` of all.
        first_synced_at: of those that have none, by the source's clock; `now` if it is left out.

    Raises:
        BatchError: no title can be stored, for want of a right or of a column.
    """
    unique = list({manga.mangadex_id: manga for manga in mangas}.values())
    if not unique:
        return StoredPage()
    take_turn(connection)
    try:
        with connection.transaction():
            return _store_set(connection, unique, now, first_synced_at or now)
    except sql.REJECTIONS:
        return _store_singly(connection, unique, now, first_synced_at or now)
    except psycopg.ProgrammingError as exc:
        raise BatchError(f"titles cannot be stored: {sql.one_line(exc)}") from exc


def _store_singly(
    connection: Connection, mangas: Sequence[Manga], now: datetime, first_synced_at: datetime
) -> StoredPage:
    """Store titles one by one; one that is rejected, without what readers can do without."""
    result = StoredPage()
    for manga in mangas:
        try:
            with connection.transaction():
                result.add(_store_set(connection, [manga], now, first_synced_at))
        except sql.REJECTIONS as exc:
            reason = f"stored without its texts, cover and genres: {sql.one_line(exc)}"
            try:
                with connection.transaction():
                    bare = _without_texts(connection, manga)
                    result.add(_store_set(connection, [bare], now, first_synced_at))
            except sql.REJECTIONS:
                reason = f"the database rejects it: {sql.one_line(exc)}"
            result.rejected.append(Rejected(str(manga.mangadex_id), reason))
    return result


def _without_texts(connection: Connection, manga: Manga) -> Manga:
    """Return the title with those stored instead, if any: its status and name can be news."""
    row = connection.execute(
        "SELECT description, author, ARRAY(SELECT name FROM genres JOIN manga_genres"
        "  ON genres.id = genre_id WHERE manga_id = manga.id) FROM manga WHERE mangadex_id = %s",
        [manga.mangadex_id],
    ).fetchone()
    description, author, genres = row or (None, None, ())
    return replace(
        manga,
        description=description,
        author=author,
        genres=tuple(genres),
        cover_url=None,
        titles=(),
        links=(),
    )


def _store_set(
    connection: Connection, mangas: Sequence[Manga], now: datetime, first_synced_at: datetime
) -> StoredPage:
    before = read_stored(connection, [manga.mangadex_id for manga in mangas])
    known = {key: stored.id for key, stored in before.items()}
    mangas = keep_covers(mangas, before)
    new = [manga for manga in mangas if manga.mangadex_id not in known]
    chosen = _free_slugs(connection, new)
    changed = _upsert(connection, mangas, chosen, now, first_synced_at)
    ids = known | changed
    changed |= {key: ids[key] for key in _link_genres(connection, mangas, ids)}
    names.store_names(connection, mangas, ids, now)
    names.record_changes(connection, _changes(before, mangas), now)
    _mark_seen(connection, mangas, now)
    fresh = {key: value for key, value in ids.items() if key not in known}
    updated = {key: value for key, value in changed.items() if key in known}
    unchanged = {key: value for key, value in known.items() if key not in updated}
    return StoredPage(fresh, updated, unchanged, before=before)


def _changes(
    before: Mapping[UUID, StoredTitle], mangas: Sequence[Manga]
) -> list[tuple[int, Change]]:
    known = [(before[m.mangadex_id], m) for m in mangas if m.mangadex_id in before]
    return [(stored.id, each) for stored, manga in known for each in find_changes(stored, manga)]


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
SELECT *, %(now)s, %(first_synced_at)s FROM unnest(
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
    connection: Connection,
    mangas: Sequence[Manga],
    chosen: dict[UUID, str],
    now: datetime,
    first_synced_at: datetime,
) -> dict[UUID, int]:
    """Write what is new or differs; return those rows."""
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
    parameters |= {"now": now, "first_synced_at": first_synced_at}
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
    """Make the links equal to the tags; return the titles whose links changed."""
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
