"""MangaDex: saved answers of `/manga/status`, `/list/{id}` and `/user/follows/manga`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from readers.errors import UnreadableList
from readers.lists.entries import sites
from readers.lists.entries.entry import Entry, Ignored, make_entry
from readers.lists.formats.files import read_json


def read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    """Yield the titles of a saved answer.

    Raises:
        UnreadableList: it is none of these answers, or an error that the API answered.
    """
    return read_document(read_json(file))


def is_like(document: object) -> bool:
    """Say whether a JSON document is an answer of MangaDex's API."""
    return isinstance(document, dict) and ("statuses" in document or "result" in document)


def read_document(document: object) -> Iterator[Entry | Ignored]:
    if isinstance(document, dict):
        if document.get("result") == "error" or "errors" in document:
            raise UnreadableList(_error(document.get("errors")))
        if "statuses" in document:
            return read_statuses(document["statuses"])
        if "data" in document:
            return _read_data(document["data"])
    raise UnreadableList(
        "the file is no list of MangaDex: it must be an answer of /manga/status or /list/{id}"
    )


def read_statuses(statuses: object) -> Iterator[Entry | Ignored]:
    """Yield the titles of `statuses`: an object from id to status; an empty one may be a list.

    Raises:
        UnreadableList: it is no such object.
    """
    if statuses == []:
        return
    if not isinstance(statuses, Mapping):
        raise UnreadableList("the statuses of a MangaDex list must be an object from id to status")
    for id, status in statuses.items():
        found = sites.read_uuid(id)
        yield (
            make_entry(mangadex_id=found, status=status)
            if found
            else Ignored("what is no id of MangaDex")
        )


def _read_data(data: object) -> Iterator[Entry | Ignored]:
    """Yield the titles that a list's relationships name, or those that are listed themselves."""
    given = data.get("relationships") if isinstance(data, dict) else data
    if not isinstance(given, list):
        raise UnreadableList("the answer of MangaDex names no titles")
    for each in given:
        if isinstance(each, dict) and each.get("type") == "manga":
            yield _entry(each)


def _entry(item: Mapping[str, Any]) -> Entry | Ignored:
    id = sites.read_uuid(item.get("id"))
    if id is None:
        return Ignored("what is no id of MangaDex")
    attributes = item.get("attributes")
    names = attributes.get("title") if isinstance(attributes, dict) else None
    return make_entry(
        mangadex_id=id, other_titles=names.values() if isinstance(names, dict) else ()
    )


def _error(errors: object) -> str:
    first = errors[0] if isinstance(errors, list) and errors else None
    detail = first if isinstance(first, dict) else {}
    status = detail.get("status", "")
    said = f"{status} {detail.get('title') or ''}: {detail.get('detail') or ''}".strip(" :")[:200]
    cure = ": is the list private? Its owner has to make it public" if status == 404 else ""
    return f"MangaDex answered with an error ({said or 'unknown'}){cure}"
