"""`GET /manga/{id}/aggregate`: volumes and chapters of a title, with PHP's lists for maps.

PHP writes an array whose keys are 0 … n-1 as a JSON list: so an empty map is `[]`, and chapters
numbered from 0 are a list.
"""

from __future__ import annotations

from mangadex_sim.catalogue.ids import Ids
from mangadex_sim.catalogue.models import ChapterRow, Json
from mangadex_sim.catalogue.numbers import sortable


def aggregate(chapters: list[ChapterRow], ids: Ids) -> Json | list[Json]:
    """Return the `volumes` of the answer."""
    by_volume: dict[str, list[ChapterRow]] = {}
    for chapter in chapters:
        by_volume.setdefault(_key(chapter.volume), []).append(chapter)
    volumes = {
        volume: {"volume": volume, "count": len(rows), "chapters": _chapters(rows, ids)}
        for volume, rows in sorted(by_volume.items(), key=lambda item: sortable(item[0]))
    }
    return as_php_writes(volumes)


def _chapters(rows: list[ChapterRow], ids: Ids) -> Json | list[Json]:
    by_number: dict[str, list[ChapterRow]] = {}
    for row in rows:
        by_number.setdefault(_key(row.number), []).append(row)
    chapters = {
        number: {
            "chapter": number,
            "id": ids.to_text(same[0].key),
            "isUnavailable": same[0].unavailable,
            "others": [ids.to_text(each.key) for each in same[1:]],
            "count": len(same),
        }
        for number, same in sorted(by_number.items(), key=lambda item: sortable(item[0]))
    }
    return as_php_writes(chapters)


def _key(text: str | None) -> str:
    return "none" if text is None else text


def as_php_writes(entries: dict[str, Json]) -> Json | list[Json]:
    """Return a list where PHP would see keys 0 … n-1 (an empty map too), else the map."""
    if all(key == str(position) for position, key in enumerate(entries)):
        return list(entries.values())
    return entries
