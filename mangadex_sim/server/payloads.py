"""Named failures inside an otherwise good answer: one bad entity, or a bad list."""

from __future__ import annotations

import copy
from collections.abc import Callable

from mangadex_sim.catalogue.models import Json

MEGABYTE = 1_000_000


def _without_id(item: Json) -> object:
    del item["id"]
    return item


def _number_where_text(item: Json) -> object:
    item["attributes"]["title"] = {"en": 12_345} if item["type"] == "manga" else 12_345
    return item


def _one_megabyte(item: Json) -> object:
    text = "A" * MEGABYTE
    item["attributes"]["title"] = {"en": text} if item["type"] == "manga" else text
    return item


def _with_nul(item: Json) -> object:
    text = "Nul\0 and void"
    if item["type"] == "manga":
        item["attributes"]["title"] = {"en": text}
        item["attributes"]["description"] = {"en": f"\0{text}\0"}
    else:
        item["attributes"]["title"] = text
    return item


def _with_bad_date(item: Json) -> object:
    for name in ("createdAt", "updatedAt", "publishAt", "readableAt"):
        if name in item["attributes"]:
            item["attributes"][name] = "yesterday"
    return item


def _with_lone_surrogate(item: Json) -> object:
    text = "Half a pair \ud83d"
    item["attributes"]["title"] = {"en": text} if item["type"] == "manga" else text
    return item


def _without_attributes(item: Json) -> object:
    del item["attributes"]
    return item


def _without_relationships(item: Json) -> object:
    del item["relationships"]
    return item


Spoiler = Callable[[Json], object]

_SPOILERS: dict[str, Spoiler] = {
    "without_id": _without_id,
    "number_where_text": _number_where_text,
    "1mb": _one_megabyte,
    "nul": _with_nul,
    "bad_date": _with_bad_date,
    "lone_surrogate": _with_lone_surrogate,
    "without_attributes": _without_attributes,
    "without_relationships": _without_relationships,
    "null": lambda _: None,
    "not_object": lambda _: "not an object",
    "bad_id": lambda item: {**item, "id": "not-a-uuid"},
}

# Mode → (type of the entity it spoils, how).
SPOILED_ITEMS: dict[str, tuple[str, Spoiler]] = {
    f"{prefix}_{name}": (kind, spoiler)
    for prefix, kind in (("title", "manga"), ("chapter", "chapter"))
    for name, spoiler in _SPOILERS.items()
}

REPEATED_ITEMS = {"same_title_twice": "manga", "same_chapter_twice": "chapter"}

SPOILED_LISTS: dict[str, Callable[[Json], Json]] = {
    "data_null": lambda document: {**document, "data": None},
    "data_absent": lambda document: {k: v for k, v in document.items() if k != "data"},
    "total_absent": lambda document: {k: v for k, v in document.items() if k != "total"},
}

PAYLOAD_MODES = (*SPOILED_ITEMS, *REPEATED_ITEMS, *SPOILED_LISTS)


def spoil(mode: str, document: Json, position: int) -> Json | None:
    """Return the document with one thing wrong, or None if it holds nothing to spoil.

    `position` is that of the item in `data`, the last one if there are fewer.
    """
    if mode in SPOILED_LISTS:
        return SPOILED_LISTS[mode](document) if isinstance(document.get("data"), list) else None
    kind = REPEATED_ITEMS[mode] if mode in REPEATED_ITEMS else SPOILED_ITEMS[mode][0]
    items = document.get("data")
    if isinstance(items, dict) and mode in SPOILED_ITEMS and items["type"] == kind:
        return {**document, "data": SPOILED_ITEMS[mode][1](copy.deepcopy(items))}
    if not isinstance(items, list) or not items or items[0].get("type") != kind:
        return None
    place = min(position, len(items) - 1)
    if mode in REPEATED_ITEMS:
        return {**document, "data": [*items[:place], items[place], *items[place:]]}
    spoiled = SPOILED_ITEMS[mode][1](copy.deepcopy(items[place]))
    return {**document, "data": [*items[:place], spoiled, *items[place + 1 :]]}
