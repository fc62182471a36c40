"""The fields in the body of an event: for each sort its JSON Schema and its reader. Pure.

A reader takes a value as `validation.parse_json` returns it, in which fractions are Decimal, and
the name of the field for its error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from readers.datagram import Json

Number = int | float
Schema = dict[str, Any]

MAX_BIGINT = 2**63 - 1
_MAX_EVENT_ID = 200
_MAX_CHAPTER = Decimal("99999999.99")
_MAX_DEPTH = 20
_MAX_URL = 512
_MAX_EXPONENT = 307


class Invalid(Exception):
    """The body cannot be used; its text says which field is wrong and why."""


class Field(NamedTuple):
    """One sort of value.

    Attributes:
        read: returns the checked value, or raises Invalid with the field's name.
    """

    schema: Schema
    read: Callable[[object, str], Any]


# --- single values ---------------------------------------------------------------------------


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


def _event_id(value: object, name: str) -> str:
    text = _text(value, name)
    if len(text) > _MAX_EVENT_ID:
        raise Invalid(f"{name}: must have at most {_MAX_EVENT_ID} characters")
    return text


def _uuid(value: object, name: str) -> str:
    """Return a UUID in canonical form."""
    try:
        return str(UUID(_text(value, name)))
    except ValueError:
        raise Invalid(f"{name}: must be a UUID") from None


def _url(value: object, name: str) -> str:
    """Return an address that a browser may be sent to."""
    text = _text(value, name)
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_good = False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if not is_good or not is_plain or len(text) > _MAX_URL:
        raise Invalid(f"{name}: must be an http or https address of at most {_MAX_URL} characters")
    return text


def _row_id(value: object, name: str) -> int:
    # JSON has only one kind of number: 7.0 is a whole number too.
    if type(value) is int or isinstance(value, Decimal):
        if 1 <= value <= MAX_BIGINT and value == int(value):
            return int(value)
    raise Invalid(f"{name}: must be a whole number from 1 to {MAX_BIGINT}")


def _chapter_number(value: object, name: str) -> Number:
    """Return a chapter number as JSON writes it: 181, not 181.0, and 10.5, not 10.50."""
    if type(value) is not int and not isinstance(value, Decimal):
        raise Invalid(f"{name}: must be a number")
    number = Decimal(value)
    if not 0 <= number <= _MAX_CHAPTER:
        raise Invalid(f"{name}: must be from 0 to {_MAX_CHAPTER}")
    if number != number.quantize(Decimal("0.01")):
        raise Invalid(f"{name}: must have at most two decimals")
    return int(number) if number == number.to_integral_value() else float(number)


def _json(value: object, name: str, depth: int = 0) -> Json:
    """Return any JSON value that PostgreSQL and other programs can read back unchanged."""
    if depth > _MAX_DEPTH:
        raise Invalid(f"{name}: is nested too deeply")
    if isinstance(value, str):
        return _storable(value, name)
    if isinstance(value, list):
        return [_json(element, name, depth + 1) for element in value]
    if isinstance(value, dict):
        return {_storable(k, name): _json(v, name, depth + 1) for k, v in value.items()}
    if type(value) is int or isinstance(value, Decimal):
        return _finite(Decimal(value), name)
    if value is None or isinstance(value, bool):
        return value
    raise Invalid(f"{name}: cannot be stored")


def _finite(value: Decimal, name: str) -> Number:
    """Return the number as it comes back from PostgreSQL, within a double's range."""
    if value and not -_MAX_EXPONENT <= value.adjusted() <= _MAX_EXPONENT:
        raise Invalid(f"{name}: the number is too large or too small")
    return int(value) if value == value.to_integral_value() else float(value)


# Half surrogate pairs cannot be stored either, but no pattern can express that.
TEXT = Field({"type": "string", "minLength": 1, "pattern": "^[^\\u0000]*$"}, _text)
EVENT_ID = Field({**TEXT.schema, "maxLength": _MAX_EVENT_ID}, _event_id)
ROW_ID = Field({"type": "integer", "minimum": 1, "maximum": MAX_BIGINT}, _row_id)
CHAPTER_NUMBER = Field(
    {"type": "number", "minimum": 0, "maximum": float(_MAX_CHAPTER), "multipleOf": 0.01},
    _chapter_number,
)
UUID_TEXT = Field({"type": "string", "format": "uuid"}, _uuid)
URL = Field({"type": "string", "format": "uri", "maxLength": _MAX_URL}, _url)
JSON = Field({}, _json)


# --- values made of others -------------------------------------------------------------------


def optional(field: Field) -> Field:
    """Return the field that may also be null."""
    schema = {**field.schema, "type": [field.schema["type"], "null"]}
    return Field(schema, lambda value, name: None if value is None else field.read(value, name))


def list_of(field: Field, may_be_empty: bool = True, most: int | None = None) -> Field:
    def read(value: object, name: str) -> list[Any]:
        if not isinstance(value, list) or not (value or may_be_empty):
            raise Invalid(f"{name}: must be a list{'' if may_be_empty else ' that is not empty'}")
        if most is not None and len(value) > most:
            raise Invalid(f"{name}: must have at most {most} elements, not {len(value)}")
        return [field.read(element, f"{name}[{i}]") for i, element in enumerate(value)]

    limits = {"minItems": 0 if may_be_empty else 1} | ({"maxItems": most} if most else {})
    return Field({"type": "array", **limits, "items": field.schema}, read)


def object_of(fields: Mapping[str, Field], *required: str) -> Field:
    """Return an object of these fields; an absent one is read as None, others are ignored."""

    def read(value: object, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Invalid(f"{name or 'the event'}: must be an object")
        absent = next((key for key in required if key not in value), None)
        prefix = f"{name}." if name else ""
        if absent is not None:
            hint = "; it may be null" if "null" in fields[absent].schema["type"] else ""
            raise Invalid(f"{prefix}{absent}: is missing{hint}")
        return {
            key: field.read(value[key], prefix + key) if key in value else None
            for key, field in fields.items()
        }

    properties = {key: field.schema for key, field in fields.items()}
    return Field({"type": "object", "required": [*required], "properties": properties}, read)


def with_one_of(field: Field, *lists: str) -> Field:
    """Return the object in which one of these lists, at least, is not empty."""

    def read(value: object, name: str) -> dict[str, Any]:
        found: dict[str, Any] = field.read(value, name)
        if not any(found[key] for key in lists):
            raise Invalid(f"{lists[0]}: must be a list that is not empty")
        return found

    filled = [{"required": [n], "properties": {n: {"type": "array", "minItems": 1}}} for n in lists]
    return Field({**field.schema, "anyOf": filled}, read)
