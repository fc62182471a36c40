"""Reads query strings as PHP does and checks them against a closed schema.

Sources: the parameter tables of the OpenAPI description 5.13.1, and a public report of the answer
to an unknown parameter: "The property X is not defined and the definition does not allow
additional properties". Everything else is a SimulatedError 400.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl

from mangadex_sim.catalogue.clock import parse_query_date
from mangadex_sim.catalogue.ids import UUID_PATTERN
from mangadex_sim.catalogue.models import invalid_query

# PHP's view of a query: text, list (name[]=) or map (name[key]=).
Raw = str | list[str] | dict[str, str]
Value = str | int | list[str] | dict[str, str] | None

_NAME_PATTERN = re.compile(r"([^\[\]]+)(?:\[([^\[\]]*)\])?")
_DATE_PATTERN = re.compile(
    r"\d{4}-[0-1]\d-([0-2]\d|3[0-1])T([0-1]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII
)
_LANGUAGE_PATTERN = re.compile(r"[a-zA-Z\-]{2,5}")
_HOST_PATTERN = re.compile(r"[a-zA-Z0-9.\-]{3,64}")
_INTEGER_PATTERN = re.compile(r"-?\d{1,18}", re.ASCII)


class Rule(Protocol):
    """How one parameter is read; raises SimulatedError 400 for a value that it does not allow."""

    def read(self, name: str, raw: Raw) -> Value:
        """Return the typed value."""


Schema = Mapping[str, Rule]


def parse_php(query: str) -> dict[str, Raw]:
    """Split a query string into PHP's variables: the last of equal names wins, [] collects."""
    found: dict[str, Raw] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        match = _NAME_PATTERN.fullmatch(name)
        base, key = (match[1], match[2]) if match else (name, None)
        if key is None:
            found[base] = value
            continue
        _collect(found, base, key, value)
    return found


def _collect(found: dict[str, Raw], base: str, key: str, value: str) -> None:
    """Add `base[key]=value`; numbered keys make a list, as PHP arrays counted from 0 do."""
    old = found.get(base)
    if key == "" or key.isdigit():
        items = old if isinstance(old, list) else []
        found[base] = [*items, value]
        return
    entries = old if isinstance(old, dict) else {}
    found[base] = {**entries, key: value}


class Text:
    """A scalar text, of a pattern or out of a set where one is given."""

    def __init__(
        self, pattern: re.Pattern[str] | None = None, allowed: tuple[str, ...] = ()
    ) -> None:
        self._pattern = pattern
        self._allowed = allowed

    def read(self, name: str, raw: Raw) -> str:
        """Return the text."""
        if not isinstance(raw, str):
            raise invalid_query(f"[{name}] Array value found, but a string is required")
        self.check(name, raw)
        return raw

    def check(self, name: str, text: str) -> None:
        """Reject text that does not match."""
        if self._allowed and text not in self._allowed:
            raise invalid_query(
                f"[{name}] Does not have a value in the enumeration "
                + str(list(self._allowed)).replace("'", '"')
            )
        if self._pattern and not self._pattern.fullmatch(text):
            raise invalid_query(f"[{name}] Does not match the regex pattern")


class Uuid(Text):
    """A UUID in text form, compared in lower case."""

    def read(self, name: str, raw: Raw) -> str:
        """Return the id in lower case."""
        return super().read(name, raw).lower()

    def check(self, name: str, text: str) -> None:
        """Refuse what is not a UUID."""
        if not UUID_PATTERN.fullmatch(text):
            raise invalid_query(f"[{name}] Invalid uuid: {text!r}")


class Integer:
    """A whole number within bounds."""

    def __init__(self, low: int, high: int | None = None) -> None:
        self._low = low
        self._high = high

    def read(self, name: str, raw: Raw) -> int:
        """Return the number."""
        if not isinstance(raw, str) or not _INTEGER_PATTERN.fullmatch(raw):
            raise invalid_query(f"[{name}] String value found, but an integer is required")
        number = int(raw)
        if number < self._low:
            raise invalid_query(f"[{name}] Must have a minimum value of {self._low}")
        if self._high is not None and number > self._high:
            raise invalid_query(f"[{name}] Must have a maximum value of {self._high}")
        return number


class Year:
    """A year, or `none`."""

    def read(self, name: str, raw: Raw) -> str:
        """Return the text."""
        if not isinstance(raw, str) or not re.fullmatch(r"\d{1,4}|none", raw, re.ASCII):
            raise invalid_query(f"[{name}] Failed to match exactly one schema")
        return raw


class Date:
    """`YYYY-MM-DDTHH:MM:SS` in UTC: no zone, no fraction."""

    def read(self, name: str, raw: Raw) -> int:
        """Return epoch seconds."""
        if not isinstance(raw, str) or not _DATE_PATTERN.fullmatch(raw):
            raise invalid_query(f"[{name}] Does not match the format YYYY-MM-DDTHH:MM:SS")
        try:
            return parse_query_date(raw)
        except ValueError:
            raise invalid_query(f"[{name}] Invalid date: {raw!r}") from None


class Items:
    """A list (`name[]=`); a lone scalar is taken as one item only where `lone` says so."""

    def __init__(self, item: Text, most: int | None = None, lone: bool = False) -> None:
        self._item = item
        self._most = most
        self._lone = lone

    def read(self, name: str, raw: Raw) -> list[str]:
        """Return the items, without repeats, in their order."""
        if isinstance(raw, str) and self._lone:
            raw = [raw]
        if not isinstance(raw, list):
            raise invalid_query(f"[{name}] String value found, but an array is required")
        if self._most is not None and len(raw) > self._most:
            raise invalid_query(f"[{name}] There must be a maximum of {self._most} items")
        return list(dict.fromkeys(self._item.read(name, each) for each in raw))


class Order:
    """`order[field]=asc|desc`, of known fields."""

    def __init__(self, *fields: str) -> None:
        self._fields = fields

    def read(self, name: str, raw: Raw) -> dict[str, str]:
        """Return field → direction, in the order of the query."""
        if not isinstance(raw, dict):
            raise invalid_query(f"[{name}] String value found, but an object is required")
        for key, direction in raw.items():
            if key not in self._fields:
                raise unknown_property(key)
            if direction not in ("asc", "desc"):
                raise invalid_query(f'[{name}] Does not have a value in ["asc","desc"]')
        return raw


LANGUAGE = Text(_LANGUAGE_PATTERN)
HOST = Text(_HOST_PATTERN)


def unknown_property(name: str) -> Exception:
    """Return the 400 of a parameter that the endpoint does not know."""
    return invalid_query(
        f"The property {name} is not defined and the definition does not allow"
        " additional properties"
    )


class Query:
    """The typed parameters of one request."""

    def __init__(self, schema: Schema, text: str) -> None:
        raw = parse_php(text)
        for name in raw:
            if name not in schema:
                raise unknown_property(name)
        self._values: dict[str, Value] = {
            name: schema[name].read(name, value) for name, value in raw.items()
        }

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return a scalar parameter, or None."""
        value = self._values.get(name)
        return value if isinstance(value, str) else None

    def integer(self, name: str, default: int) -> int:
        """Return a number or its default."""
        value = self._values.get(name)
        return value if isinstance(value, int) else default

    def instant(self, name: str) -> int | None:
        """Return a date in epoch seconds, or None."""
        value = self._values.get(name)
        return value if isinstance(value, int) else None

    def items(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """Return a list parameter or its default; an empty list counts as absent."""
        value = self._values.get(name)
        return value if isinstance(value, list) and value else list(default)

    def order(self) -> dict[str, str]:
        """Return the ordering, empty if none was asked for."""
        value = self._values.get("order")
        return value if isinstance(value, dict) else {}

    def cache_key(self) -> str:
        """Return a text that is equal for queries that select the same rows in the same order."""
        paging = ("limit", "offset", "includes")
        return repr(
            [(name, self._values[name]) for name in sorted(self._values) if name not in paging]
        )
