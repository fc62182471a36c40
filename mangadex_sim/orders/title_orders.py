"""What may be ordered about titles: JSON in, JSON out. A bad order changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mangadex_sim.catalogue.clock import Clock
from mangadex_sim.catalogue.models import Facts, Json, Reference
from mangadex_sim.catalogue.state import Catalogue
from mangadex_sim.orders.order_fields import (
    as_list,
    read_index,
    read_instant,
    read_whole,
    refuse_unknown,
)
from mangadex_sim.settings import MAX_TITLES

# Attribute → field of Facts: lists filter and sort by these.
_FACTS = {
    "contentRating": "rating",
    "status": "status",
    "originalLanguage": "language",
    "publicationDemographic": "demographic",
}
_INSTANTS = {"createdAt": "created", "updatedAt": "updated"}
_TEXTS = ("title", "description")  # a text is taken as the English one
_OTHERS = (
    "altTitles",
    "isLocked",
    "links",
    "officialLinks",
    "lastVolume",
    "lastChapter",
    "year",
    "state",
    "chapterNumbersResetOnNewVolume",
    "availableTranslatedLanguages",
    "latestUploadedChapter",
    "version",
)
_SPECIAL = ("authors", "artists", "tags", "cover", "followedCount", "absent")
TITLE_KEYS = (*_FACTS, *_INSTANTS, *_TEXTS, *_OTHERS, *_SPECIAL)

_MOST_FOLLOWERS = 1_000_000_000


@dataclass(frozen=True)
class _Change:
    """An order about one title, fully read: applying it cannot fail."""

    facts: Facts
    attributes: Json
    absent: set[str]
    makers: list[Reference] | None
    has_new_cover: bool


class TitleOrders:
    """Carries out orders on a catalogue. The caller holds the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    def add(self, order: Json) -> Json:
        """Append titles: `count` with the same attributes, or a list `titles` of attributes."""
        wanted = order.get("titles")
        if wanted is None:
            count = read_whole(order, "count", 1, 0, MAX_TITLES)
            wanted = [order.get("attributes") or {}] * count
        changes = [self._read(each, self._plain_facts(each)) for each in wanted]
        indexes = [self._add(each) for each in changes]
        return {"ids": [self._catalogue.ids.title(each) for each in indexes], "indexes": indexes}

    def _plain_facts(self, attributes: Json) -> Facts:
        created = read_instant(attributes.get("createdAt", self._clock.now()))
        return Facts("safe", "ongoing", "ja", None, created, created, 0)

    def _add(self, change: _Change) -> int:
        index = self._catalogue.add_title(change.facts)
        self._apply(index, change)
        return index

    def edit(self, order: Json) -> Json:
        """Change attributes of a title: version and updatedAt move unless they are given."""
        index, attributes = (
            read_index(self._catalogue, order["manga"]),
            order.get("attributes") or {},
        )
        facts = self._catalogue.facts(index)._replace(updated=self._clock.now())
        change = self._read(attributes, facts)
        edit = self._catalogue.edit(index)
        edit.versions = 0 if "version" in attributes else edit.versions + 1
        self._apply(index, change)
        return {"id": self._catalogue.ids.title(index)}

    def remove(self, order: Json) -> Json:
        """Delete the titles `manga`: an id, an index, or a list of them."""
        indexes = [read_index(self._catalogue, each) for each in as_list(order["manga"])]
        for index in indexes:
            self._catalogue.remove_title(index)
        return {"ids": [self._catalogue.ids.title(each) for each in indexes]}

    def restore(self, order: Json) -> Json:
        """Bring removed titles back."""
        indexes = [read_index(self._catalogue, each) for each in as_list(order["manga"])]
        for index in indexes:
            self._catalogue.restore_title(index)
        return {"ids": [self._catalogue.ids.title(each) for each in indexes]}

    def list_ids(self, order: Json) -> Json:
        """Return the ids of `count` titles from index `first`, removed ones included."""
        first = read_whole(order, "first", 0, 0, self._catalogue.size)
        last = min(
            self._catalogue.size, first + read_whole(order, "count", 100, 0, 10 * MAX_TITLES)
        )
        return {
            "ids": [self._catalogue.ids.title(index) for index in range(first, last)],
            "titles": self._catalogue.size,
            "removed": len(self._catalogue.removed),
        }

    # --- reading, then applying ----------------------------------------------------------------

    def _read(self, attributes: Json, facts: Facts) -> _Change:
        refuse_unknown(attributes, TITLE_KEYS)
        values = {name: attributes[name] for name in _OTHERS if name in attributes}
        for name in _TEXTS:
            if name in attributes:
                text = attributes[name]
                values[name] = {"en": text} if isinstance(text, str) else text
        if "tags" in attributes:
            numbers = [
                self._catalogue.tags.by_name[str(name)] for name in as_list(attributes["tags"])
            ]
            values["tags"] = self._catalogue.tags.entities(numbers, empty_as_list=False)
        named = "authors" in attributes or "artists" in attributes
        return _Change(
            facts=_change_facts(facts, attributes),
            attributes=values,
            absent={str(each) for each in as_list(attributes.get("absent"))},
            makers=list(self._makers(attributes)) if named else None,
            has_new_cover=bool(attributes.get("cover")),
        )

    def _makers(self, attributes: Json) -> Iterator[Reference]:
        authors = attributes.get("authors")
        for kind, people in (("author", authors), ("artist", attributes.get("artists", authors))):
            for name in as_list(people):
                yield self._catalogue.people.named_author(kind, str(name))

    def _apply(self, index: int, change: _Change) -> None:
        self._catalogue.patched_facts[index] = change.facts
        edit = self._catalogue.edit(index)
        edit.attributes |= change.attributes
        edit.absent |= change.absent
        edit.cover_revision += change.has_new_cover
        if change.makers is not None:
            edit.makers = change.makers


def _change_facts(facts: Facts, attributes: Json) -> Facts:
    changes: Json = {
        field: attributes[name] for name, field in _FACTS.items() if name in attributes
    }
    changes |= {
        field: read_instant(attributes[name])
        for name, field in _INSTANTS.items()
        if name in attributes
    }
    if "followedCount" in attributes:
        changes["follows"] = read_whole(attributes, "followedCount", None, 0, _MOST_FOLLOWERS)
    return facts._replace(**changes)
