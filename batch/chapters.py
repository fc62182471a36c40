"""SQL of chapters, baselines and announcements, set-wise over some titles at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from batch.decide import Baseline, Claim, Plan, Slot, StoredChapter, Title
from batch.models import Chapter
from sql import Connection

_NO_CHAPTER = UUID(int=0)

Uploads = Mapping[UUID, Sequence[Chapter]]
Plans = Sequence[tuple[Title, Plan]]


def read_titles(connection: Connection, uploads: Uploads) -> list[Title]:
    """The tracked ones among these titles, by `manga.id`, with all that is known of them."""
    rows = connection.execute(
        "SELECT id, mangadex_id, title, first_synced_at, numbering_restarts FROM manga"
        " WHERE mangadex_id = ANY(%s) AND first_synced_at IS NOT NULL ORDER BY id",
        [list(uploads)],
    ).fetchall()
    ids = [row[0] for row in rows]
    stored = _read_chapters(connection, ids, uploads)
    baselines = _read_baselines(connection, ids)
    return [
        Title(
            id=manga_id,
            mangadex_id=mangadex_id,
            title=title,
            first_synced_at=first_synced_at,
            numbering_restarts=restarts,
            stored=_rows_of(manga_id, uploads[mangadex_id], stored),
            baselines=baselines.get(manga_id, {}),
        )
        for manga_id, mangadex_id, title, first_synced_at, restarts in rows
    ]


def _read_chapters(
    connection: Connection, manga_ids: Sequence[int], uploads: Uploads
) -> list[StoredChapter]:
    came = [c.mangadex_chapter_id for chapters in uploads.values() for c in chapters]
    rows = connection.execute(
        "SELECT id, manga_id, mangadex_chapter_id, translated_language, number_scope,"
        " chapter_number, volume, title, external_url, pages, published_at FROM chapters"
        " WHERE manga_id = ANY(%s) OR mangadex_chapter_id = ANY(%s) ORDER BY id",
        [manga_ids, came],
    ).fetchall()
    return [
        StoredChapter(row_id, manga_id, upload, Slot(language, scope, number), *rest)
        for row_id, manga_id, upload, language, scope, number, *rest in rows
    ]


def _rows_of(
    manga_id: int, uploads: Sequence[Chapter], stored: Sequence[StoredChapter]
) -> list[StoredChapter]:
    """The title's own rows, and those whose upload has moved here from another title."""
    came = {chapter.mangadex_chapter_id for chapter in uploads}
    return [row for row in stored if row.manga_id == manga_id or row.mangadex_chapter_id in came]


def _read_baselines(
    connection: Connection, manga_ids: Sequence[int]
) -> dict[int, dict[str, Baseline]]:
    found: dict[int, dict[str, Baseline]] = {}
    rows = connection.execute(
        "SELECT manga_id, translated_language, latest_chapter, latest_volume"
        " FROM chapter_baselines WHERE manga_id = ANY(%s)",
        [manga_ids],
    ).fetchall()
    for manga_id, language, number, volume in rows:
        found.setdefault(manga_id, {})[language] = Baseline(language, number, volume)
    return found


def save_baselines(connection: Connection, manga_id: int, baselines: Iterable[Baseline]) -> None:
    """Fixes a title's baselines; those that stand stay, unless numbers now count otherwise."""
    rows = list(baselines)
    connection.execute(
        "INSERT INTO chapter_baselines AS b"
        " (manga_id, translated_language, latest_chapter, latest_volume)"
        " SELECT %s, * FROM unnest(%s::text[], %s::numeric[], %s::numeric[])"
        " ON CONFLICT (manga_id, translated_language) DO UPDATE SET"
        " latest_chapter = excluded.latest_chapter, latest_volume = excluded.latest_volume,"
        " established_at = now() WHERE b.latest_chapter IS NOT NULL"
        " AND (b.latest_volume IS NULL) <> (excluded.latest_volume IS NULL)",
        [
            manga_id,
            [row.language for row in rows],
            [row.number for row in rows],
            [row.volume for row in rows],
        ],
    )


def apply_plans(connection: Connection, plans: Plans) -> None:
    """Removes, moves, updates and inserts rows; in the order of titles and their numbers."""
    removals = [row.id for _, plan in plans for row in plan.removals]
    if removals:
        connection.execute("DELETE FROM chapters WHERE id = ANY(%s)", [removals])
    _apply_updates(connection, plans)
    _apply_inserts(connection, plans)


def _apply_updates(connection: Connection, plans: Plans) -> None:
    updates = [(title, *update) for title, plan in plans for update in plan.updates]
    if not updates:
        return
    moved = [r.id for t, r, slot, _ in updates if (r.manga_id, r.slot) != (t.id, slot)]
    # Numbers may change places; each row is put aside first, out of the others' way.
    connection.execute(
        "UPDATE chapters SET number_scope = 'moving:' || id WHERE id = ANY(%s)", [moved]
    )
    columns = _columns((title.id, slot, chapter) for title, _, slot, chapter in updates)
    connection.execute(
        "UPDATE chapters AS c SET manga_id = u.manga_id,"
        " translated_language = u.translated_language, number_scope = u.number_scope,"
        " chapter_number = u.chapter_number, mangadex_chapter_id = u.mangadex_chapter_id,"
        " volume = u.volume, title = u.title, external_url = u.external_url, pages = u.pages,"
        f" published_at = u.published_at FROM unnest({_TYPES}, %s::bigint[]) AS u ({_NAMES}, id)"
        " WHERE c.id = u.id",
        [*columns, [row.id for _, row, _, _ in updates]],
    )


def _apply_inserts(connection: Connection, plans: Plans) -> None:
    inserts = [(title.id, *insert) for title, plan in plans for insert in plan.inserts]
    if not inserts:
        return
    connection.execute(
        f"INSERT INTO chapters ({_NAMES}) SELECT {_NAMES} FROM unnest({_TYPES})"
        f" WITH ORDINALITY AS i ({_NAMES}, place) ORDER BY place",
        _columns(inserts),
    )


_NAMES = (
    "manga_id, translated_language, number_scope, chapter_number, mangadex_chapter_id, volume,"
    " title, external_url, pages, published_at"
)
_TYPES = (
    "%s::bigint[], %s::text[], %s::text[], %s::numeric[], %s::uuid[], %s::text[],"
    " %s::text[], %s::text[], %s::integer[], %s::timestamptz[]"
)


def _columns(rows: Iterable[tuple[int, Slot, Chapter]]) -> list[list[object]]:
    """One list a column, in the order of `_NAMES`."""
    values = [
        (
            manga_id,
            slot.language,
            slot.scope,
            slot.number,
            chapter.mangadex_chapter_id,
            chapter.volume,
            chapter.title,
            chapter.external_url,
            chapter.pages,
            chapter.readable_at,
        )
        for manga_id, slot, chapter in rows
    ]
    return [list(column) for column in zip(*values, strict=True)]


def announce(connection: Connection, claims: Sequence[tuple[int, Claim]]) -> set[tuple[int, Slot]]:
    """Marks slots as announced; returns those that had never been: only these may be told."""
    if not claims:
        return set()
    keys = {(manga_id, *_announcement_key(claim.slot)): claim.slot for manga_id, claim in claims}
    rows = connection.execute(
        "INSERT INTO chapter_announcements"
        " (manga_id, translated_language, volume, chapter_number, mangadex_chapter_id)"
        " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::numeric[], %s::uuid[])"
        " ON CONFLICT DO NOTHING RETURNING"
        " manga_id, translated_language, volume, chapter_number, mangadex_chapter_id",
        [list(column) for column in zip(*keys, strict=True)],
    ).fetchall()
    return {(row[0], keys[row]) for row in rows}


def _announcement_key(slot: Slot) -> tuple[str, str, object, UUID]:
    kind, _, value = slot.scope.partition(":")
    volume = value if kind == "volume" else ""
    return slot.language, volume, slot.number, UUID(value) if kind == "chapter" else _NO_CHAPTER


def raise_totals(connection: Connection, highest: Mapping[int, int]) -> None:
    """`total_chapters` rises with what is found, and never falls."""
    if not highest:
        return
    connection.execute(
        "UPDATE manga SET total_chapters = h.total"
        " FROM unnest(%s::bigint[], %s::integer[]) AS h (id, total)"
        " WHERE manga.id = h.id AND coalesce(manga.total_chapters, -1) < h.total",
        [list(highest), list(highest.values())],
    )


def first_sync(connection: Connection) -> datetime | None:
    """When the first of all tracked titles was synced; None where there is none."""
    row = connection.execute(
        "SELECT min(first_synced_at) FROM manga WHERE mangadex_id IS NOT NULL"
    ).fetchone()
    return row[0] if row else None


def mark_due(connection: Connection, mangadex_ids: Sequence[UUID] | None = None) -> int:
    """Has `chapter-check` look at these titles next, or at all; returns how many were not due."""
    only = "" if mangadex_ids is None else " AND mangadex_id = ANY(%s)"
    return connection.execute(
        "UPDATE manga SET last_chapter_check = NULL WHERE last_chapter_check IS NOT NULL"
        f" AND mangadex_id IS NOT NULL{only}",
        [] if mangadex_ids is None else [list(mangadex_ids)],
    ).rowcount


def mark_checked(connection: Connection, mangadex_id: UUID, now: datetime) -> None:
    """The title's whole feed was read."""
    connection.execute(
        "UPDATE manga SET last_chapter_check = %s WHERE mangadex_id = %s", [now, mangadex_id]
    )


def read_due(connection: Connection, before: datetime, limit: int | None) -> list[UUID]:
    """Tracked titles that were not checked since `before`: never checked ones, then the oldest."""
    rows = connection.execute(
        "SELECT mangadex_id FROM manga WHERE mangadex_id IS NOT NULL"
        " AND first_synced_at IS NOT NULL AND unavailable_at IS NULL"
        " AND (last_chapter_check IS NULL OR last_chapter_check <= %s)"
        " ORDER BY last_chapter_check NULLS FIRST, id LIMIT %s",
        [before, limit],
    ).fetchall()
    return [row[0] for row in rows]
