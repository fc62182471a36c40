"""Which titles `GET /manga` lists, and in which order.

Cheap filters work on the bulk facts; those that need the title itself come last and build it.
A selection is kept until an order changes the catalogue, so that each further page is only a slice.
"""

from __future__ import annotations

import html
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from mangadex_sim.api.endpoints import DEFAULT_RATINGS
from mangadex_sim.api.query import Query
from mangadex_sim.catalogue.bulk_facts import LANGUAGES
from mangadex_sim.catalogue.models import DEMOGRAPHICS, RATINGS, STATUSES, Facts, MangaEntry
from mangadex_sim.catalogue.state import Catalogue

_KEPT_SELECTIONS = 8
_TRUE = ("1", "true")


class MangaSelector:
    """Answers "which indexes" for a manga query against one catalogue."""

    def __init__(self, catalogue: Catalogue, since_inclusive: bool) -> None:
        self._catalogue = catalogue
        self._strict = 0 if since_inclusive else 1
        self._kept: OrderedDict[tuple[object, ...], array[int]] = OrderedDict()

    def select(self, query: Query, now: int) -> Sequence[int]:
        """Return all indexes that match, ordered."""
        if "ids" in query:
            return self._find(query, now)
        key = (self._catalogue.revision(now), query.cache_key())
        if key not in self._kept:
            self._kept[key] = array("I", self._find(query, now))
            if len(self._kept) > _KEPT_SELECTIONS:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _find(self, query: Query, now: int) -> list[int]:
        indexes: Iterable[int] = self._candidates(query)
        for keep in self._cheap_filters(query):
            indexes = keep(indexes)
        costly = self._costly_filters(query)
        if costly:
            titles = ((index, self._catalogue.title(index, now)) for index in indexes)
            indexes = [index for index, title in titles if all(test(title) for test in costly)]
        return self._sort(list(indexes), query.order() or {"latestUploadedChapter": "desc"}, now)

    def _candidates(self, query: Query) -> Iterable[int]:
        ids = query.items("ids")
        if not ids:
            return self._catalogue.indexes()
        found = (self._catalogue.find_title(each) for each in ids)
        return [index for index in found if index is not None]

    # --- filters on facts --------------------------------------------------------------------

    def _cheap_filters(self, query: Query) -> list[Callable[[Iterable[int]], list[int]]]:
        bulk, filters = self._catalogue.bulk, []
        ratings = query.items("contentRating", DEFAULT_RATINGS)
        if set(ratings) != set(RATINGS):
            filters.append(self._coded(bulk.ratings, RATINGS, ratings, lambda f: f.rating))
        if statuses := query.items("status"):
            filters.append(self._coded(bulk.statuses, STATUSES, statuses, lambda f: f.status))
        if languages := query.items("originalLanguage"):
            filters.append(self._coded(bulk.languages, LANGUAGES, languages, lambda f: f.language))
        if excluded := query.items("excludedOriginalLanguage"):
            others = [each for each in LANGUAGES if each not in excluded]
            filters.append(self._coded(bulk.languages, LANGUAGES, others, lambda f: f.language))
        if wanted := query.items("publicationDemographic"):
            filters.append(
                self._coded(
                    bulk.demographics,
                    (*DEMOGRAPHICS, "none"),
                    wanted,
                    lambda f: f.demographic or "none",
                )
            )
        if (since := query.instant("createdAtSince")) is not None:
            filters.append(self._since(bulk.created, since, lambda f: f.created))
        if (since := query.instant("updatedAtSince")) is not None:
            filters.append(self._since(bulk.updated, since, lambda f: f.updated))
        return filters

    def _coded(
        self, column: bytes, names: Sequence[str], wanted: list[str], read: Callable[[Facts], str]
    ) -> Callable[[Iterable[int]], list[int]]:
        """Return a filter that keeps titles whose code names something wanted."""
        codes = bytearray(self._catalogue.size)
        table = bytes(name in wanted for name in names).ljust(256, b"\0")
        codes[: len(column)] = column.translate(table)
        for index, facts in self._catalogue.patched_facts.items():
            codes[index] = read(facts) in wanted
        return lambda indexes: [index for index in indexes if codes[index]]

    def _since(
        self, column: array[int], since: int, read: Callable[[Facts], int]
    ) -> Callable[[Iterable[int]], list[int]]:
        """Return a filter that keeps titles not older than an instant."""
        values = self._patched(column, read)
        earliest = since + self._strict
        return lambda indexes: [index for index in indexes if values[index] >= earliest]

    def _patched(self, column: array[int], read: Callable[[Facts], int]) -> array[int]:
        """Return a column with the ordered titles' values in it."""
        patched = self._catalogue.patched_facts
        if not patched:
            return column
        values = array("q", column)
        values.extend([0] * (self._catalogue.size - len(values)))
        for index, facts in patched.items():
            values[index] = read(facts)
        return values

    # --- filters that build the title ----------------------------------------------------------

    def _costly_filters(self, query: Query) -> list[Callable[[MangaEntry], bool]]:
        makers = [
            (("author",), query.items("authors")),
            (("artist",), query.items("artists")),
            (("author", "artist"), [query.text("authorOrArtist") or ""]),
        ]
        filters = [_made_by(kinds, ids) for kinds, ids in makers if ids and ids[0]]
        if words := query.text("title"):
            filters.append(_named(words))
        if year := query.text("year"):
            filters.append(lambda title: str(_year(title) or "none") == year)
        if languages := query.items("availableTranslatedLanguage"):
            filters.append(
                lambda title: any(each in languages for each in _translated_languages(title))
            )
        return filters + _tag_filters(query) + self._chapter_filters(query)

    def _chapter_filters(self, query: Query) -> list[Callable[[MangaEntry], bool]]:
        catalogue, filters = self._catalogue, []
        if flag := query.text("hasAvailableChapters"):
            filters.append(
                lambda title: (
                    (flag in _TRUE)
                    == any(not each.unavailable for each in catalogue.chapters_of(title.index))
                )
            )
        if unavailable := query.text("hasUnavailableChapters"):
            filters.append(
                lambda title: (
                    (unavailable in _TRUE)
                    == any(each.unavailable for each in catalogue.chapters_of(title.index))
                )
            )
        if group := query.text("group"):
            filters.append(
                lambda title: any(
                    group in each.groups for each in catalogue.chapters_of(title.index)
                )
            )
        return filters

    # --- order ---------------------------------------------------------------------------------

    def _sort(self, indexes: list[int], order: dict[str, str], now: int) -> list[int]:
        """Sort by several fields: the least important first, each sort being stable."""
        for field, direction in reversed(order.items()):
            indexes.sort(key=self._sort_key(field, now), reverse=direction == "desc")
        return indexes

    def _sort_key(self, field: str, now: int) -> Callable[[int], int | str]:
        bulk = self._catalogue.bulk
        if field == "createdAt":
            return self._patched(bulk.created, lambda facts: facts.created).__getitem__
        if field == "updatedAt":
            return self._patched(bulk.updated, lambda facts: facts.updated).__getitem__
        if field in ("followedCount", "relevance"):
            return self._patched(bulk.follows, lambda facts: facts.follows).__getitem__
        if field == "latestUploadedChapter":
            return lambda index: self._catalogue.latest_instant(index, now)
        if field == "rating":
            return lambda index: index * 7_919 % 1_000
        if field == "year":
            return lambda index: _year(self._catalogue.title(index, now))
        return lambda index: _texts(self._catalogue.title(index, now), "title")


# Orders may have set these attributes to anything, or removed them.


def _year(title: MangaEntry) -> int:
    year = title.attributes.get("year")
    return year if isinstance(year, int) else 0


def _texts(title: MangaEntry, *names: str) -> str:
    values = [title.attributes.get(name) for name in names]
    maps = [
        each
        for value in values
        for each in (value if isinstance(value, list) else [value])
        if isinstance(each, dict)
    ]
    return " ".join(str(text) for each in maps for text in each.values()).lower()


def _translated_languages(title: MangaEntry) -> list[object]:
    languages = title.attributes.get("availableTranslatedLanguages")
    return languages if isinstance(languages, list) else []


def _made_by(kinds: tuple[str, ...], ids: list[str]) -> Callable[[MangaEntry], bool]:
    return lambda title: any(each.type in kinds and each.id in ids for each in title.references)


def _named(words: str) -> Callable[[MangaEntry], bool]:
    """Match titles that contain every word, in any language, ignoring case."""
    wanted = words.lower().split()

    def matches(title: MangaEntry) -> bool:
        texts = html.unescape(_texts(title, "title", "altTitles"))
        return all(word in texts for word in wanted)

    return matches


def _tag_filters(query: Query) -> list[Callable[[MangaEntry], bool]]:
    filters: list[Callable[[MangaEntry], bool]] = []
    for name, wanted, default in (("included", True, "AND"), ("excluded", False, "OR")):
        ids = set(query.items(f"{name}Tags"))
        mode = query.text(f"{name}TagsMode") or default
        if ids:
            filters.append(
                lambda title, ids=ids, mode=mode, wanted=wanted: (  # type: ignore[misc]
                    wanted == _has_tags(title, ids, mode)
                )
            )
    return filters


def _has_tags(title: MangaEntry, ids: set[str], mode: str) -> bool:
    own = {tag["id"] for tag in title.attributes.get("tags", ())}
    return ids <= own if mode == "AND" else not ids.isdisjoint(own)
