"""AniList: the download of one's data, and a saved answer of `MediaListCollection`.

The download has no titles, and much that is nobody's business: only `lists` is read.
§ https://docs.anilist.co/guide/graphql/queries/media-list
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

from readers.errors import UnreadableList
from readers.lists.entries import sites
from readers.lists.entries.entry import Entry, Ignored, make_entry, moment
from readers.lists.formats.files import read_json

_STATUSES = dict(enumerate(("current", "planning", "completed", "dropped", "paused", "repeating")))


def read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    """Yield the manga of a list.

    Raises:
        UnreadableList: it is neither of the two, or an error that the API answered.
    """
    return read_document(read_json(file))


def is_like(document: object) -> bool:
    """Say whether a JSON document is of AniList."""
    return _collection(document) is not None or _downloaded(document) is not None


def read_document(document: object) -> Iterator[Entry | Ignored]:
    collection = _collection(document)
    if collection is not None:
        return _read_answer(collection)
    lists = _downloaded(document)
    if lists is not None:
        return (_read_row(row) for row in lists if isinstance(row, dict))
    raise UnreadableList(
        "the file is no list of AniList: it must be gdpr_data.json, or an answer of"
        " MediaListCollection"
    )


def _collection(document: object) -> Mapping[str, Any] | None:
    """Return a saved answer's `MediaListCollection`.

    Raises:
        UnreadableList: the answer is an error.
    """
    if not isinstance(document, dict):
        return None
    data = document.get("data", document)
    answered = data if isinstance(data, dict) else {}
    found = answered.get("MediaListCollection")
    if isinstance(found, dict):
        return found
    if "errors" in document and (data is None or "MediaListCollection" in answered):
        raise UnreadableList(f"AniList answered with an error: {_reason(document['errors'])}")
    return None


def _reason(errors: object) -> str:
    first = errors[0] if isinstance(errors, list) and errors else errors
    message = first.get("message") if isinstance(first, dict) else first
    return f"{message}"[:200]


def _downloaded(document: object) -> list[Any] | None:
    if not isinstance(document, dict) or not isinstance(lists := document.get("lists"), list):
        return None
    has_rows = any(isinstance(row, dict) and "series_id" in row for row in lists)
    return lists if has_rows or "user" in document else None


def _read_row(row: Mapping[str, Any]) -> Entry | Ignored:
    if row.get("series_type") != 1:
        return Ignored("anime")
    code = row.get("status")
    return make_entry(
        status=_STATUSES.get(code, str(code)) if isinstance(code, int) else None,
        progress=row.get("progress"),
        ids={"al": sites.read_id("al", row.get("series_id"))},
        listed_at=_day(row.get("created_at")),
    )


def _read_answer(collection: Mapping[str, Any]) -> Iterator[Entry | Ignored]:
    for each in _rows(collection.get("lists")):
        for row in _rows(each.get("entries")):
            yield _read_entry(row)
    if collection.get("hasNextChunk") is True:
        yield Ignored("a further part of the list, which is not in this file")


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _part(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def _read_entry(row: Mapping[str, Any]) -> Entry | Ignored:
    media = _part(row, "media")
    if media.get("format") == "NOVEL":
        return Ignored("novels")
    if media.get("type") == "ANIME":
        return Ignored("anime")
    names = _part(media, "title")
    synonyms = media.get("synonyms")
    own_names = [names.get(kind) for kind in ("romaji", "english", "native")]
    return make_entry(
        title=names.get("userPreferred"),
        other_titles=[*own_names, *(synonyms if isinstance(synonyms, list) else [])],
        status=row.get("status"),
        progress=row.get("progress"),
        ids={
            "al": sites.read_id("al", row.get("mediaId") or media.get("id")),
            "mal": sites.read_id("mal", media.get("idMal")),
        },
        listed_at=moment(row.get("createdAt")),
        is_oneshot=media.get("format") == "ONE_SHOT",
    )


def _day(value: object) -> datetime | None:
    """Return a time of the download, which is UNIX seconds, or a date and time as text."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            return None
    return moment(value)
