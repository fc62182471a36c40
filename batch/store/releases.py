"""SQL of what is known of uploads beside their rows: whose work they are, and on which days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from batch.models import Chapter
from sql import Connection

KEPT_DAYS = 13  # of each title and language: enough to see a rhythm

Uploads = Iterable[tuple[int, Sequence[Chapter]]]  # by manga.id


def store_groups(connection: Connection, chapters: Sequence[Chapter]) -> None:
    """Note the groups of the stored ones of these uploads, by the names that they have now."""
    names: Mapping[UUID, str] = dict(pair for each in chapters for pair in each.group_names)
    credits = [(c.mangadex_chapter_id, group) for c in chapters for group, _ in c.group_names]
    if not credits:
        return
    connection.execute(
        "INSERT INTO scanlation_groups AS g (id, name)"
        " SELECT * FROM unnest(%s::uuid[], %s::text[]) AS named (id, name) ORDER BY id"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE g.name <> excluded.name",
        [list(names), list(names.values())],
    )
    connection.execute(
        "WITH credit AS MATERIALIZED ("
        "  SELECT chapters.id AS chapter_id, group_id"
        "  FROM unnest(%s::uuid[], %s::uuid[]) AS c (upload, group_id)"
        "  JOIN chapters ON mangadex_chapter_id = upload"
        "), gone AS ("
        "  DELETE FROM chapter_groups g USING (SELECT DISTINCT chapter_id FROM credit) AS c"
        "  WHERE g.chapter_id = c.chapter_id"
        "  AND (g.chapter_id, g.group_id) NOT IN (SELECT chapter_id, group_id FROM credit)"
        ") INSERT INTO chapter_groups (chapter_id, group_id)"
        " SELECT chapter_id, group_id FROM credit ON CONFLICT DO NOTHING",
        [[upload for upload, _ in credits], [group for _, group in credits]],
    )


def note_days(connection: Connection, uploads: Uploads, now: datetime) -> None:
    """Note on which days (UTC) uploads became readable; keep the last 13 a title and language."""
    days = {
        (manga_id, each.translated_language, each.readable_at.date())
        for manga_id, chapters in uploads
        for each in chapters
        if each.readable_at <= now
    }
    if not days:
        return
    columns = [list(column) for column in zip(*sorted(days), strict=True)]
    came = connection.execute(
        "INSERT INTO release_days (manga_id, translated_language, released_on)"
        " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::date[])"
        " ON CONFLICT DO NOTHING RETURNING manga_id",
        columns,
    ).fetchall()
    connection.execute(
        "DELETE FROM release_days d USING ("
        "  SELECT manga_id, translated_language, released_on, row_number() OVER ("
        "   PARTITION BY manga_id, translated_language ORDER BY released_on DESC) AS place"
        "  FROM release_days WHERE manga_id = ANY(%s)) AS o"
        " WHERE o.place > %s AND (d.manga_id, d.translated_language, d.released_on)"
        "  = (o.manga_id, o.translated_language, o.released_on)",
        [list({manga_id for (manga_id,) in came}), KEPT_DAYS],
    )
