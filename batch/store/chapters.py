"""SQL of chapters and announcements, over arrays of some titles at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import sql
from batch.models import Chapter, Rejected
from batch.rules.chapter_models import (
    Announcement,
    ChapterKey,
    StoredChapter,
    Title,
    TitleChanges,
)
from batch.store import baselines
from sql import Connection

log = logging.getLogger(__name__)

_NO_CHAPTER = UUID(int=0)

Uploads = Mapping[UUID, Sequence[Chapter]]
Changes = Sequence[tuple[Title, TitleChanges]]


def read_titles(
    connection: Connection, uploads: Uploads, with_all_rows: bool = False
) -> list[Title]:
    """Return the tracked ones of these titles, by `manga.id`, with what decides on their uploads.

    Args:
        uploads: by `manga.mangadex_id`.
        with_all_rows: not only those that matter for the uploads.
    """
    rows = connection.execute(
        # The API's times have whole seconds: what appeared in that same second counts as after it.
        "SELECT id, mangadex_id, title, date_trunc('second', first_synced_at), numbering_restarts,"
        " last_chapter_check FROM manga"
        " WHERE mangadex_id = ANY(%s) AND first_synced_at IS NOT NULL ORDER BY id",
        [list(uploads)],
    ).fetchall()
    whole = [manga_id for manga_id, _, _, _, restarts, _ in rows if restarts or with_all_rows]
    stored = _read_chapters(connection, {row[0]: uploads[row[1]] for row in rows}, whole)
    found_baselines = baselines.read_baselines(connection, [row[0] for row in rows])
    announced = _read_announced_uploads(
        connection, {row[0]: uploads[row[1]] for row in rows if row[4]}
    )
    return [
        Title(
            id=manga_id,
            mangadex_id=mangadex_id,
            title=title,
            first_synced_at=first_synced_at,
            numbering_restarts=restarts,
            stored=stored[manga_id],
            baselines=found_baselines.get(manga_id, {}),
            announced_uploads=announced if restarts else frozenset(),
            checked_at=checked_at,
        )
        for manga_id, mangadex_id, title, first_synced_at, restarts, checked_at in rows
    ]


_RELEVANT = """
SELECT id, manga_id, mangadex_chapter_id, translated_language, number_scope, chapter_number,
       volume, title, external_url, pages, published_at, unavailable_at IS NOT NULL
FROM chapters WHERE id IN (
    -- the uploads themselves, wherever they were,
    SELECT id FROM chapters WHERE mangadex_chapter_id = ANY(%(upload)s::uuid[])
    UNION ALL
    -- what has their numbers,
    SELECT c.id FROM chapters c
    JOIN unnest(%(manga_id)s::bigint[], %(language)s::text[], %(number)s::numeric[])
        AS came (manga_id, language, number)
      ON c.manga_id = came.manga_id AND c.translated_language = came.language
     AND c.chapter_number = came.number
    UNION ALL
    -- the highest of each language,
    SELECT top.id FROM (
        SELECT DISTINCT * FROM unnest(%(manga_id)s::bigint[], %(language)s::text[])
    ) AS came (manga_id, language), LATERAL (
        SELECT id FROM chapters c WHERE c.manga_id = came.manga_id
        AND c.translated_language = came.language AND c.number_scope = ''
        AND c.unavailable_at IS NULL
        AND c.chapter_number < 'NaN'  -- other programs may write that, and it would be the highest
        ORDER BY c.chapter_number DESC LIMIT 1
    ) AS top
    UNION ALL
    -- and all where it takes a volume to tell which is the highest, or the source lists all.
    SELECT id FROM chapters WHERE manga_id = ANY(%(whole)s::bigint[])
    AND chapter_number < 'NaN'
) ORDER BY id
"""


def _read_chapters(
    connection: Connection, titles: Mapping[int, Sequence[Chapter]], whole: Sequence[int]
) -> dict[int, list[StoredChapter]]:
    """Return the rows that matter, by title; an upload that came to it is another title's row."""
    came = [(manga_id, chapter) for manga_id, found in titles.items() for chapter in found]
    rows = connection.execute(
        _RELEVANT,
        {
            "upload": [chapter.mangadex_chapter_id for _, chapter in came],
            "manga_id": [manga_id for manga_id, _ in came],
            "language": [chapter.translated_language for _, chapter in came],
            "number": [chapter.number for _, chapter in came],
            "whole": list(whole),
        },
    ).fetchall()
    arrived = {chapter.mangadex_chapter_id: manga_id for manga_id, chapter in came}
    found: dict[int, list[StoredChapter]] = {manga_id: [] for manga_id in titles}
    for row_id, manga_id, upload, language, scope, number, *rest in rows:
        row = StoredChapter(row_id, manga_id, upload, ChapterKey(language, scope, number), *rest)
        if row.published_at in (sql.EARLIEST, sql.LATEST):
            log.warning("The date of a stored chapter cannot be read chapter=%d", row_id)
        for key in {manga_id, arrived.get(upload, manga_id)} & titles.keys():
            found[key].append(row)
    return found


def _read_announced_uploads(
    connection: Connection, titles: Mapping[int, Sequence[Chapter]]
) -> frozenset[UUID]:
    """Return those of the uploads that were announced by their ids."""
    if not titles:
        return frozenset()
    rows = connection.execute(
        "SELECT mangadex_chapter_id FROM chapter_announcements"
        " WHERE manga_id = ANY(%s) AND mangadex_chapter_id = ANY(%s)",
        [list(titles), [each.mangadex_chapter_id for found in titles.values() for each in found]],
    ).fetchall()
    return frozenset(row[0] for row in rows)


def apply_changes(connection: Connection, changed: Changes) -> list[Rejected]:
    """Remove, move, update, insert and mark rows, in the order of titles and their numbers.

    Returns:
        nothing that is rejected: that is an error, for which nothing is written.
    """
    removals = [row.id for _, changes in changed for row in changes.removals]
    if removals:
        connection.execute("DELETE FROM chapters WHERE id = ANY(%s)", [removals])
    _apply_updates(connection, changed)
    _apply_inserts(connection, changed)
    gone = [row.id for _, changes in changed for row in changes.gone]
    if gone:
        connection.execute("UPDATE chapters SET unavailable_at = now() WHERE id = ANY(%s)", [gone])
    return []


def apply_singly(connection: Connection, changed: Changes) -> list[Rejected]:
    """Apply changes as `apply_changes`, row by row; a rejected row is stored as its number only.

    A chapter's title or link that cannot be stored must not cost its announcement.

    Returns:
        the chapters that are stored without them.
    """
    rejected = []
    for title, changes in changed:
        apply_changes(connection, [(title, replace(changes, inserts=[], updates=[]))])
        parts = [TitleChanges(updates=[each]) for each in changes.updates]
        parts += [TitleChanges(inserts=[each]) for each in changes.inserts]
        for part in parts:
            try:
                with connection.transaction():
                    apply_changes(connection, [(title, part)])
            except sql.REJECTIONS as exc:
                apply_changes(connection, [(title, _bare(part))])
                reason = f"stored without its title and link: {sql.one_line(exc)}"
                rejected += [Rejected(key, reason) for key in _upload_ids(part)]
    return rejected


def _bare(changes: TitleChanges) -> TitleChanges:
    updates = [(row, key, _without_texts(chapter)) for row, key, chapter in changes.updates]
    inserts = [(key, _without_texts(chapter)) for key, chapter in changes.inserts]
    return TitleChanges(inserts=inserts, updates=updates)


def _without_texts(chapter: Chapter) -> Chapter:
    return replace(chapter, title=None, external_url=None, pages=0)


def _upload_ids(changes: TitleChanges) -> list[str]:
    came = [chapter for _, chapter in changes.inserts] + [each for *_, each in changes.updates]
    return [str(chapter.mangadex_chapter_id) for chapter in came]


def _apply_updates(connection: Connection, changed: Changes) -> None:
    updates = [(title, *update) for title, changes in changed for update in changes.updates]
    if not updates:
        return
    moved = [r.id for t, r, key, _ in updates if (r.manga_id, r.key) != (t.id, key)]
    # Rows may swap numbers, so each is moved to a temporary number first.
    connection.execute(
        "UPDATE chapters SET number_scope = 'moving:' || id WHERE id = ANY(%s)", [moved]
    )
    columns = _columns((title.id, key, chapter) for title, _, key, chapter in updates)
    connection.execute(
        "UPDATE chapters AS c SET manga_id = u.manga_id,"
        " translated_language = u.translated_language, number_scope = u.number_scope,"
        " chapter_number = u.chapter_number, mangadex_chapter_id = u.mangadex_chapter_id,"
        " volume = u.volume, title = u.title, external_url = u.external_url, pages = u.pages,"
        f" published_at = u.published_at, unavailable_at = NULL"
        f" FROM unnest({_TYPES}, %s::bigint[]) AS u ({_NAMES}, id)"
        " WHERE c.id = u.id",
        [*columns, [row.id for _, row, _, _ in updates]],
    )


def _apply_inserts(connection: Connection, changed: Changes) -> None:
    inserts = [(title.id, *insert) for title, changes in changed for insert in changes.inserts]
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


def _columns(rows: Iterable[tuple[int, ChapterKey, Chapter]]) -> list[list[object]]:
    """Return one list a column, in the order of `_NAMES`."""
    values = [
        (
            manga_id,
            key.language,
            key.scope,
            key.number,
            chapter.mangadex_chapter_id,
            chapter.volume,
            chapter.title,
            chapter.external_url,
            chapter.pages,
            chapter.readable_at,
        )
        for manga_id, key, chapter in rows
    ]
    return [list(column) for column in zip(*values, strict=True)]


def announce(
    connection: Connection, announcements: Sequence[tuple[int, Announcement]]
) -> set[tuple[int, ChapterKey]]:
    """Mark keys as announced; return those that never were before: only they make events."""
    if not announcements:
        return set()
    keys = {
        (manga_id, *_announcement_key(announcement.key)): announcement.key
        for manga_id, announcement in announcements
    }
    rows = connection.execute(
        "INSERT INTO chapter_announcements"
        " (manga_id, translated_language, volume, chapter_number, mangadex_chapter_id)"
        " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::numeric[], %s::uuid[])"
        " ON CONFLICT DO NOTHING RETURNING"
        " manga_id, translated_language, volume, chapter_number, mangadex_chapter_id",
        [list(column) for column in zip(*keys, strict=True)],
    ).fetchall()
    return {(row[0], keys[row]) for row in rows}


def _announcement_key(key: ChapterKey) -> tuple[str, str, object, UUID]:
    kind, _, value = key.scope.partition(":")
    volume = value if kind == "volume" else ""
    is_upload = kind in ("chapter", "upload")
    return key.language, volume, key.number, UUID(value) if is_upload else _NO_CHAPTER


def lower_totals(connection: Connection, withdrawn: Mapping[int, int]) -> None:
    """Lower `total_chapters` of titles by `manga.id` if it is that of what was withdrawn.

    It falls to the highest number that is left.
    """
    if not withdrawn:
        return
    connection.execute(
        "UPDATE manga SET total_chapters = ("
        " SELECT max(trunc(number))::integer FROM ("
        "  SELECT chapter_number FROM chapters c WHERE c.manga_id = manga.id"
        "  AND c.unavailable_at IS NULL AND c.chapter_number < 'NaN'"
        "  AND NOT starts_with(c.number_scope, 'chapter:')"
        "  UNION ALL SELECT latest_chapter FROM chapter_baselines b WHERE b.manga_id = manga.id"
        " ) AS rest (number))"
        " FROM unnest(%s::bigint[], %s::integer[]) AS w (id, total)"
        " WHERE manga.id = w.id AND manga.total_chapters = w.total",
        [list(withdrawn), list(withdrawn.values())],
    )


def raise_totals(connection: Connection, highest: Mapping[int, int]) -> None:
    """Raise `total_chapters` of titles by `manga.id`."""
    if not highest:
        return
    connection.execute(
        "UPDATE manga SET total_chapters = h.total"
        " FROM unnest(%s::bigint[], %s::integer[]) AS h (id, total)"
        " WHERE manga.id = h.id AND coalesce(manga.total_chapters, -1) < h.total",
        [list(highest), list(highest.values())],
    )
