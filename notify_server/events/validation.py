"""From the bytes of a POST to an event, or to an error that names the field. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from notify_server.events import kinds
from notify_server.events.kinds import DATAGRAM_TYPES, Event, Json, Number

MAX_EVENTS = 500
MAX_EVENT_ID = 200
MAX_BIGINT = 2**63 - 1
_MAX_CHAPTER = Decimal("99999999.99")
_MAX_DEPTH = 20
_MAX_EXPONENT = 307

Fields = dict[str, object]


class Invalid(Exception):
    """The body cannot be used; its text says which field and why."""


def parse_json(body: bytes) -> object:
    """The body's JSON value; fractions as Decimal, so that their digits can be counted.

    Raises:
        Invalid: it is no JSON in UTF-8, or nested too deeply, or holds NaN or Infinity.
    """
    try:
        text = body.decode("utf-8")
        return json.loads(text, parse_float=_decimal, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply") from None
    except json.JSONDecodeError as exc:
        raise Invalid(f"the body is not JSON: {exc.msg} at character {exc.pos}") from None
    except ValueError:
        raise Invalid("the body holds a number that is too long") from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Invalid(f"the body holds a number out of any range: {text:.40}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise Invalid(f"the body is not JSON: {name} is no number")


def parse_events(value: object) -> list[object]:
    """The elements of a batch, not yet checked themselves."""
    elements = _object(value).get("events")
    if not isinstance(elements, list) or not elements:
        raise Invalid("events: must be a list of at least one event")
    if len(elements) > MAX_EVENTS:
        raise Invalid(f"events: must be at most {MAX_EVENTS}, not {len(elements)}")
    return elements


def parse_typed_event(value: object) -> Event:
    """An element of a batch, whose `type` tells its kind."""
    kind = _object(value).get("type")
    if not isinstance(kind, str) or kind not in DATAGRAM_TYPES:
        raise Invalid(f"type: must be one of {', '.join(DATAGRAM_TYPES)}")
    return parse_event(kind, value)


def parse_event(kind: str, value: object) -> Event:
    """The event of a POST to `/notify/KIND`. Fields that are not known are ignored.

    Raises:
        Invalid: the first field that is wrong.
    """
    fields = _object(value)
    event_id = _event_id(fields)
    manga_id = _manga_id(fields)
    title = _text(fields.get("title"), "title")
    return _PARSERS[kind](event_id, manga_id, title, fields)


def _new_manga(event_id: str, manga_id: int, title: str, fields: Fields) -> Event:
    return kinds.new_manga(event_id, manga_id, title)


def _new_chapter(event_id: str, manga_id: int, title: str, fields: Fields) -> Event:
    if "chapter" not in fields:
        raise Invalid("chapter: is missing; it is null for a chapter without a number")
    chapter = _optional_number(fields["chapter"], "chapter")
    old_chapter = _optional_number(fields.get("old_chapter"), "old_chapter")
    chapters = _chapters(fields.get("chapters"))
    highest = max(chapters) if chapters else chapter
    return kinds.new_chapter(event_id, manga_id, title, highest, old_chapter, chapters)


def _manga_update(event_id: str, manga_id: int, title: str, fields: Fields) -> Event:
    details = _details(fields.get("detailed_changes"))
    names = _names(fields.get("changes"), has_details=bool(details))
    listed = names + [name for name in details if name not in names]
    changes: list[Json] = [details.get(n) or _change(n, None, None) for n in listed]
    return kinds.manga_update(event_id, manga_id, title, listed, changes)


_PARSERS: dict[str, Callable[[str, int, str, Fields], Event]] = {
    "new-manga": _new_manga,
    "new-chapter": _new_chapter,
    "manga-update": _manga_update,
}


def _object(value: object) -> Fields:
    if not isinstance(value, dict):
        raise Invalid("the event must be a JSON object")
    return value


def _event_id(fields: Fields) -> str:
    """The sender's id, or a new one where it gave none."""
    if fields.get("event_id") is None:
        return str(uuid.uuid4())
    text = _text(fields["event_id"], "event_id")
    if len(text) > MAX_EVENT_ID:
        raise Invalid(f"event_id: must have at most {MAX_EVENT_ID} characters")
    return text


def _manga_id(fields: Fields) -> int:
    value = fields.get("manga_id")
    # JSON has one kind of number: 7.0 is a whole one too.
    if type(value) is int or isinstance(value, Decimal):
        if 1 <= value <= MAX_BIGINT and value == int(value):
            return int(value)
    raise Invalid(f"manga_id: must be a whole number from 1 to {MAX_BIGINT}")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name}: must be a text that is not empty")
    return _storable(value, name)


def _storable(text: str, name: str) -> str:
    if "\0" in text:
        raise Invalid(f"{name}: must not contain NUL")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise Invalid(f"{name}: contains half a surrogate pair")
    return text


def _optional_number(value: object, name: str) -> Number | None:
    return None if value is None else _number(value, name)


def _number(value: object, name: str) -> Number:
    """A chapter number as JSON writes it: 181 rather than 181.0, and 10.5 rather than 10.50."""
    if type(value) is not int and not isinstance(value, Decimal):
        raise Invalid(f"{name}: must be a number")
    number = Decimal(value)
    if not 0 <= number <= _MAX_CHAPTER:
        raise Invalid(f"{name}: must be from 0 to {_MAX_CHAPTER}")
    if number != number.quantize(Decimal("0.01")):
        raise Invalid(f"{name}: must have at most two decimals")
    return int(number) if number == number.to_integral_value() else float(number)


def _chapters(value: object) -> list[Number]:
    if value is None:
        return []
    if not isinstance(value, list) or not value:
        raise Invalid("chapters: must be a list of at least one number")
    return [_number(element, f"chapters[{i}]") for i, element in enumerate(value)]


def _names(value: object, has_details: bool) -> list[str]:
    if value is None and has_details:
        return []
    if not isinstance(value, list) or not (value or has_details):
        raise Invalid("changes: must be a list of at least one field name")
    names = [_text(element, f"changes[{i}]") for i, element in enumerate(value)]
    return list(dict.fromkeys(names))


def _details(value: object) -> dict[str, Json]:
    """The detailed changes by their field; the last one counts where a field stands twice."""
    if value is None:
        return {}
    if not isinstance(value, list):
        raise Invalid("detailed_changes: must be a list")
    return dict(_detail(element, f"detailed_changes[{i}]") for i, element in enumerate(value))


def _detail(value: object, name: str) -> tuple[str, Json]:
    if not isinstance(value, dict):
        raise Invalid(f"{name}: must be an object")
    field = _text(value.get("field"), f"{name}.field")
    old = _plain(value.get("old_value"), f"{name}.old_value", 0)
    new = _plain(value.get("new_value"), f"{name}.new_value", 0)
    return field, _change(field, old, new)


def _change(field: str, old: Json, new: Json) -> Json:
    return {"field": field, "old_value": old, "new_value": new}


def _plain(value: object, name: str, depth: int) -> Json:
    """Any JSON value that PostgreSQL and other programs can read back unchanged."""
    if depth > _MAX_DEPTH:
        raise Invalid(f"{name}: is nested too deeply")
    if isinstance(value, str):
        return _storable(value, name)
    if isinstance(value, list):
        return [_plain(element, name, depth + 1) for element in value]
    if isinstance(value, dict):
        return {_storable(k, name): _plain(v, name, depth + 1) for k, v in value.items()}
    if type(value) is int or isinstance(value, Decimal):
        return _finite(Decimal(value), name)
    if value is None or isinstance(value, bool):
        return value
    raise Invalid(f"{name}: cannot be stored")


def _finite(value: Decimal, name: str) -> int | float:
    """The number in the form in which it comes back from PostgreSQL, within a double's range."""
    if value and not -_MAX_EXPONENT <= value.adjusted() <= _MAX_EXPONENT:
        raise Invalid(f"{name}: the number is too large or too small")
    return int(value) if value == value.to_integral_value() else float(value)
