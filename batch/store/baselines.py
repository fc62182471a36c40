"""SQL of baselines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batch.rules.chapter_models import Baseline
from sql import Connection


def read_baselines(
    connection: Connection, manga_ids: Sequence[int]
) -> dict[int, dict[str, Baseline]]:
    found: dict[int, dict[str, Baseline]] = {}
    rows = connection.execute(
        "SELECT manga_id, translated_language, latest_chapter, latest_volume,"
        " lowered_at IS NOT NULL FROM chapter_baselines WHERE manga_id = ANY(%s)",
        [manga_ids],
    ).fetchall()
    for manga_id, *values in rows:
        baseline = Baseline(*values)
        found.setdefault(manga_id, {})[baseline.language] = baseline
    return found


def save_baselines(connection: Connection, manga_id: int, baselines: Iterable[Baseline]) -> None:
    """Store a title's baselines; stored ones stay, unless numbers are counted differently now."""
    rows = list(baselines)
    connection.execute(
        "INSERT INTO chapter_baselines AS b"
        " (manga_id, translated_language, latest_chapter, latest_volume)"
        " SELECT %s, * FROM unnest(%s::text[], %s::numeric[], %s::numeric[])"
        " ON CONFLICT (manga_id, translated_language) DO UPDATE SET"
        " latest_chapter = excluded.latest_chapter, latest_volume = excluded.latest_volume,"
        " established_at = now(), lowered_at = NULL WHERE b.latest_chapter IS NOT NULL"
        " AND (b.latest_volume IS NULL) <> (excluded.latest_volume IS NULL)",
        [
            manga_id,
            [row.language for row in rows],
            [row.number for row in rows],
            [row.volume for row in rows],
        ],
    )


def lower_baselines(connection: Connection, manga_id: int, lowered: Sequence[Baseline]) -> None:
    """Replace baselines of a title by lower ones; that of all languages stays for the others."""
    connection.execute(
        "INSERT INTO chapter_baselines"
        " (manga_id, translated_language, latest_chapter, latest_volume, lowered_at)"
        " SELECT %s, *, now() FROM unnest(%s::text[], %s::numeric[], %s::numeric[])"
        " ON CONFLICT (manga_id, translated_language) DO UPDATE SET"
        " latest_chapter = excluded.latest_chapter, latest_volume = excluded.latest_volume,"
        " lowered_at = excluded.lowered_at",
        [
            manga_id,
            [row.language for row in lowered],
            [row.number for row in lowered],
            [row.volume for row in lowered],
        ],
    )
