"""The kinds of events, in one table with everything that the server knows of each. Pure.

To add a kind: its entry in `KINDS`, the rule in `batch/rules/events.py` that makes its events, and
its rows in docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from notify_server.events.fields import (
    CHAPTER_NUMBER,
    EVENT_ID,
    JSON,
    ROW_ID,
    TEXT,
    URL,
    UUID_TEXT,
    Field,
    Number,
    list_of,
    object_of,
    optional,
    with_one_of,
)
from readers.datagram import Json

Audience = Literal["users", "readers"]
Body = dict[str, Any]
MAX_GROUPS = 10
MAX_ITEMS = 50


class Traits(NamedTuple):
    """What the recipients of an event are chosen by.

    Attributes:
        language: None where the event names none, or several.
        uploads: for each upload the ids of its groups; empty where the event names none.
    """

    language: str | None = None
    uploads: list[list[str]] = []  # noqa: RUF012 (never changed)
    genres: list[str] = []  # noqa: RUF012


class Composed(NamedTuple):
    """An event as readers get it: the fields of its datagram, and its audience."""

    message: str
    data: dict[str, Json]
    changes: list[Json]
    traits: Traits = Traits()


@dataclass(frozen=True, slots=True)
class Kind:
    """What the server knows of one kind of event.

    Attributes:
        name: as in routes, in the outbox and in the batch.
        datagram_type: the type of its datagrams, and of its rows in `notifications`.
        audience: all `users`, or those with the title in their library: its `readers`.
        summary: what it reports.
        body: what is posted.
        compose: returns what a checked body means to readers.
    """

    name: str
    datagram_type: str
    audience: Audience
    summary: str
    body: Field
    compose: Callable[[Body], Composed]


@dataclass(frozen=True, slots=True)
class Event:
    """A checked event, ready to be stored.

    Attributes:
        data, changes: the fields of the datagram, and of `notifications.data`.
    """

    event_id: str
    kind: Kind
    manga_id: int
    title: str
    message: str
    data: dict[str, Json]
    changes: list[Json]
    traits: Traits


def _body(*required: str, **fields: Field) -> Field:
    common = {"event_id": optional(EVENT_ID), "manga_id": ROW_ID, "title": TEXT}
    return object_of({**common, **fields}, "manga_id", "title", *required)


_MANGA = _body(url=optional(URL), genres=optional(list_of(TEXT)), content_rating=optional(TEXT))


def _new_manga(body: Body) -> Composed:
    data = _given(body, "url", "genres", "content_rating")
    traits = Traits(genres=body["genres"] or [])
    return Composed(f"New manga added: {body['title']}", data, [], traits)


# What a reader needs to open a chapter, and to know whose work it is.
_GROUP = object_of({"id": UUID_TEXT, "name": TEXT}, "id", "name")
_UPLOAD = {
    "language": optional(TEXT),
    "volume": optional(TEXT),
    "chapter_title": optional(TEXT),
    "groups": optional(list_of(_GROUP, most=MAX_GROUPS)),
    "mangadex_chapter_id": optional(UUID_TEXT),
    "url": optional(URL),
}
_ITEM = object_of({"chapter": optional(CHAPTER_NUMBER), **_UPLOAD})
_CHAPTER = _body(
    "chapter",
    chapter=optional(CHAPTER_NUMBER),
    old_chapter=optional(CHAPTER_NUMBER),
    chapters=optional(list_of(CHAPTER_NUMBER, may_be_empty=False)),
    items=optional(list_of(_ITEM, most=MAX_ITEMS)),
    **_UPLOAD,
)


def _new_chapter(body: Body) -> Composed:
    old, chapters, items = body["old_chapter"], body["chapters"], body["items"] or []
    chapter = max(chapters) if chapters else body["chapter"]
    data: dict[str, Json] = {"chapter": chapter, **_upload(body)}
    if chapters:
        data["chapters"] = chapters
    if items:
        data["items"] = [{"chapter": item["chapter"], **_upload(item)} for item in items]
    message = _chapter_message(chapter, old, chapters or [])
    return Composed(message, data, [_change("current_chapter", old, chapter)], _traits(body, items))


def _upload(body: Body) -> dict[str, Json]:
    groups = [group["name"] for group in body["groups"] or []]
    data = _given({**body, "groups": groups}, *_UPLOAD)
    data.pop("mangadex_chapter_id", None)  # the url holds it
    return data


def _given(body: Body, *names: str) -> dict[str, Json]:
    """Return the fields that the event had."""
    return {name: body[name] for name in names if body[name]}


def _traits(body: Body, items: list[Body]) -> Traits:
    languages = {item["language"] for item in items} if items else set()
    language = body["language"] or (languages.pop() if len(languages) == 1 else None)
    named = items or ([body] if body["groups"] else [])
    return Traits(language, [[g["id"] for g in each["groups"] or []] for each in named])


def _chapter_message(chapter: Number | None, old: Number | None, chapters: list[Number]) -> str:
    was = f" (was chapter {old})" if old is not None else ""
    if len(chapters) > 1:
        low, high = min(chapters), max(chapters)
        span = f"{low}–{high}" if low != high else f"{low}"
        return f"{len(chapters)} new chapters available: {span}{was}"
    if chapter is None:
        return "New chapter available"
    return f"New chapter {chapter} available{was}"


_DETAIL = object_of({"field": TEXT, "old_value": JSON, "new_value": JSON}, "field")
_LISTS = {"changes": optional(list_of(TEXT)), "detailed_changes": optional(list_of(_DETAIL))}
_UPDATE = with_one_of(_body(**_LISTS), *_LISTS)


def _manga_update(body: Body) -> Composed:
    """Compose the changes: fields with details have their last values, others only a name."""
    details = {detail["field"]: detail for detail in body["detailed_changes"] or []}
    names = list(dict.fromkeys([*(body["changes"] or []), *details]))
    changes = [details.get(name) or _change(name, None, None) for name in names]
    listed = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])}, and {names[-1]}"
    return Composed(f"Updated: {listed}", {"updated_fields": [*names]}, changes)


def _change(field: str, old: Json, new: Json) -> Json:
    return {"field": field, "old_value": old, "new_value": new}


_ALL = (
    Kind("new-manga", "NEW_MANGA", "users", "A new title", _MANGA, _new_manga),
    Kind("new-chapter", "NEW_CHAPTER", "readers", "New chapters", _CHAPTER, _new_chapter),
    Kind("manga-update", "MANGA_UPDATE", "readers", "A changed title", _UPDATE, _manga_update),
)
KINDS = {kind.name: kind for kind in _ALL}
