"""Reads the fields of orders: everything that could spoil the simulator itself is refused here.

ValueError or TypeError say what is wrong; the control endpoint answers them with 400.
"""

from __future__ import annotations

from collections.abc import Iterable

from mangadex_sim.catalogue.clock import parse_instant
from mangadex_sim.catalogue.models import Json
from mangadex_sim.catalogue.state import Catalogue

LAST_INSTANT = 253_402_300_799  # 9999-12-31T23:59:59


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that an order does not have, and name those it has."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")


def read_number(order: Json, name: str, default: float | None, low: float, high: float) -> float:
    """Return a number within bounds; no default makes it required."""
    value = order.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}, not {value!r}")
    return value


def read_whole(order: Json, name: str, default: int | None, low: int, high: int) -> int:
    """Return a whole number within bounds."""
    return int(read_number(order, name, default, low, high))


def read_instant(value: object) -> int:
    """Return epoch seconds that can be written as a date."""
    instant = parse_instant(value)
    if not 0 <= instant <= LAST_INSTANT:
        raise ValueError(f"not an instant from 1970 to 9999: {value!r}")
    return instant


def as_list(value: object) -> list[object]:
    """Return a list of what may be one thing, several, or none."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def read_index(catalogue: Catalogue, manga: object) -> int:
    """Return the index of a title given by index or id, a removed one too."""
    if isinstance(manga, int) and not isinstance(manga, bool):
        if 0 <= manga < catalogue.size:
            return manga
        raise ValueError(f"no title has the index {manga}")
    index = catalogue.find_index(str(manga))
    if index is None:
        raise ValueError(f"no title has the id {manga!r}")
    return index
