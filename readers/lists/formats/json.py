"""JSON: this program's own, that of Anime-Planet, Kotatsu's favourites, plain lists of titles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from readers.errors import UnreadableList
from readers.lists.entries import sites
from readers.lists.entries.entry import Entry, Ignored
from readers.lists.entries.listed import ListedTitle
from readers.lists.formats import columns, text
from readers.lists.formats.files import read_json


def read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    """Yield the entries of a document.

    Raises:
        UnreadableList: it is no such document.
    """
    return read_document(read_json(file))


def read_document(document: object) -> Iterator[Entry | Ignored]:
    rows = document.get("entries") if isinstance(document, dict) else document
    if isinstance(document, dict) and {"mangas", "version"} <= document.keys():
        raise UnreadableList(
            "the file is a Tachiyomi backup of before 2021: restore it in an app of today, and"
            " make a new one"
        )
    if not isinstance(rows, list):
        raise UnreadableList("the JSON is no list that is known: it has no `entries`")
    return map(_read_row, rows)


def _read_row(row: object) -> Entry | Ignored:
    if isinstance(row, str):
        return text.read_line(row) or Ignored("rows without a title or id")
    if not isinstance(row, dict):
        return Ignored("rows without a title or id")
    values: dict[str, object] = {}
    inner = [each for each in (row.get("manga"), row.get("ids")) if isinstance(each, dict)]
    for name, value in (pair for each in (row, *inner) for pair in each.items()):
        column = columns.column_of(name)
        if column and values.get(column) is None and not isinstance(value, dict | list):
            values[column] = value
    return columns.entry_of(values) or Ignored("rows without a title or id")


# --- writing -------------------------------------------------------------------------------------


def write(titles: Iterable[ListedTitle]) -> bytes:
    return json.dumps(write_document(titles), ensure_ascii=False).encode() + b"\n"


def write_document(titles: Iterable[ListedTitle]) -> dict[str, Any]:
    return {"entries": [_written(title) for title in titles]}


def _written(title: ListedTitle) -> dict[str, Any]:
    return {
        "title": title.title,
        "mangadex_id": str(title.mangadex_id) if title.mangadex_id else None,
        "status": title.status,
        "progress": title.progress if title.status else None,
        "author": title.author,
        "ids": {site: title.ids[site] for site in sites.CODES if site in title.ids},
        "added_at": title.added_at.isoformat() if title.added_at else None,
        "gone": title.is_gone,
    }


def can_hold(title: ListedTitle) -> bool:
    return True
