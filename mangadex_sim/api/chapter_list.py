"""Which chapters a feed or `GET /chapter` lists, and in which order.

The default filter: what is readable now (`readableAt <= now`), so that a link with a far-future
publishAt is listed, as clients of the global list report. `publishAtSince` and
`includeFutureUpdates=0` ask for publishAt itself to have come. Any of includeEmptyPages,
includeFuturePublishAt and includeExternalUrl turns the default filter off; 1 selects only such
chapters, 0 none of them.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from urllib.parse import urlsplit

from mangadex_sim.api.endpoints import DEFAULT_RATINGS
from mangadex_sim.api.query import Query
from mangadex_sim.catalogue.bulk_facts import HISTORY_START, ROUND_S
from mangadex_sim.catalogue.models import RATINGS, ChapterRow, SimulatedError, invalid_query
from mangadex_sim.catalogue.numbers import sortable
from mangadex_sim.catalogue.state import Catalogue

MOST_LISTED = 10_000  # offset + limit of the real API
# Base rows that one query may look at; more would mean that its filters rarely match.
MOST_VISITED = 120_000
_KEPT_SELECTIONS = 8

Test = Callable[[ChapterRow], bool]
SortKey = Callable[[ChapterRow], tuple[object, ...]]

_INSTANTS: dict[str, Callable[[ChapterRow], int]] = {
    "createdAt": lambda chapter: chapter.created,
    "updatedAt": lambda chapter: chapter.updated,
    "publishAt": lambda chapter: chapter.publish,
    "readableAt": lambda chapter: chapter.readable,
}


@dataclass(frozen=True)
class Selection:
    """Ordered rows, the first 10,000 at most where they are many, and how many there are."""

    rows: list[ChapterRow]
    total: int
    is_complete: bool = True


class ChapterSelector:
    """Answers "which chapters" for a query against one catalogue."""

    def __init__(self, catalogue: Catalogue, since_inclusive: bool) -> None:
        self._catalogue = catalogue
        self._strict = 0 if since_inclusive else 1
        self._kept: OrderedDict[tuple[object, ...], Selection] = OrderedDict()

    def of_title(self, index: int | None, query: Query, now: int) -> Selection:
        """Return the rows of one title; none where it is removed or unknown."""
        return self._filter([] if index is None else self._catalogue.chapters_of(index), query, now)

    def of_ids(self, ids: list[str], query: Query, now: int) -> Selection:
        """Return those of the given chapters that exist and match."""
        found = (self._catalogue.find_chapter(each) for each in ids)
        return self._filter([chapter for chapter in found if chapter], query, now)

    def everywhere(self, query: Query, needed: int, now: int) -> Selection:
        """Return the rows of all titles: at least `needed` if there are so many."""
        key = (self._catalogue.revision(now), query.cache_key())
        if key not in self._kept:
            self._kept[key] = self._walk(query, now)
            if len(self._kept) > _KEPT_SELECTIONS:
                self._kept.popitem(last=False)
        selection = self._kept[key]
        if not selection.is_complete and len(selection.rows) < min(needed, MOST_LISTED):
            raise too_costly()
        return selection

    def _filter(self, chapters: Iterable[ChapterRow], query: Query, now: int) -> Selection:
        tests = self._tests(query, now)
        rows = [each for each in chapters if all(test(each) for test in tests)]
        return Selection(sort_chapters(rows, query.order()), len(rows))

    # --- the global list -----------------------------------------------------------------------

    def _walk(self, query: Query, now: int) -> Selection:
        """Merge the regular history, round by round, with all rows that stand outside of it."""
        order = query.order() or {"createdAt": "asc"}
        field, direction = next(iter(order.items()))
        rounds = self._rounds(query, direction)
        if field not in _INSTANTS or len(order) > 1:
            return self._filter(self._everything(rounds), query, now)
        tests = self._tests(query, now)
        key, descending = _sort_key(field), direction == "desc"
        walk = _Walk(self._catalogue, rounds, key, descending)
        matching = (each for each in walk if all(test(each) for test in tests))
        rows = list(islice(matching, MOST_LISTED + 1))
        if len(rows) <= MOST_LISTED and walk.visited <= MOST_VISITED:
            return Selection(rows, len(rows))
        return Selection(rows, walk.estimate(len(rows)), is_complete=False)

    def _rounds(self, query: Query, direction: str) -> range:
        """Return the rounds that can hold a match, in the order of the list."""
        since = [query.instant(f"{name}AtSince") for name in ("created", "updated", "publish")]
        earliest = max((each for each in since if each is not None), default=0)
        last = self._catalogue.history.rounds + 1
        first = min(last, max(0, (earliest - HISTORY_START) // ROUND_S))
        return range(last - 1, first - 1, -1) if direction == "desc" else range(first, last)

    def _everything(self, rounds: range) -> list[ChapterRow]:
        """Return all rows of a small history, for orders that no walk can follow."""
        rows, history = [], self._catalogue.history
        for number in rounds:
            rows += [
                each for each in history.of_round(number) if self._catalogue.is_untouched(each.key)
            ]
            if len(rows) > MOST_VISITED:
                raise too_costly()
        return rows + list(loose_chapters(self._catalogue))

    # --- filters -------------------------------------------------------------------------------

    def _tests(self, query: Query, now: int) -> list[Test]:
        return [
            *self._time_tests(query, now),
            *_flag_tests(query, now),
            *self._title_tests(query),
            *_attribute_tests(query),
        ]

    def _time_tests(self, query: Query, now: int) -> list[Test]:
        tests: list[Test] = []
        for name in ("createdAt", "updatedAt", "publishAt"):
            since = query.instant(f"{name}Since")
            if since is not None:
                read, earliest = _INSTANTS[name], since + self._strict
                tests.append(
                    lambda each, read=read, earliest=earliest: (  # type: ignore[misc]
                        read(each) >= earliest
                    )
                )
        return tests

    def _title_tests(self, query: Query) -> list[Test]:
        catalogue, tests = self._catalogue, list[Test]()
        if catalogue.removed:
            tests.append(lambda each: each.manga not in catalogue.removed)
        ratings = query.items("contentRating", DEFAULT_RATINGS)
        if set(ratings) != set(RATINGS):
            tests.append(lambda each: catalogue.rating(each.manga) in ratings)
        if languages := query.items("originalLanguage"):
            tests.append(lambda each: catalogue.facts(each.manga).language in languages)
        if excluded := query.items("excludedOriginalLanguage"):
            tests.append(lambda each: catalogue.facts(each.manga).language not in excluded)
        return tests


class _Walk:
    """Iterates over all rows of the site in the order of one instant, oldest or newest first."""

    def __init__(self, catalogue: Catalogue, rounds: range, key: SortKey, descending: bool) -> None:
        self._catalogue = catalogue
        self._rounds = rounds
        self._key = key
        self._descending = descending
        self.visited = 0
        self._rounds_done = 0

    def __iter__(self) -> Iterator[ChapterRow]:
        loose = sorted(loose_chapters(self._catalogue), key=self._key, reverse=self._descending)
        return heapq.merge(loose, self._regular(), key=self._key, reverse=self._descending)

    def _regular(self) -> Iterator[ChapterRow]:
        for number in self._rounds:
            if self.visited > MOST_VISITED:
                return
            rows = [
                each
                for each in self._catalogue.history.of_round(number)
                if self._catalogue.is_untouched(each.key)
            ]
            yield from sorted(rows, key=self._key, reverse=self._descending)
            self.visited += len(rows)
            self._rounds_done += 1

    def estimate(self, found: int) -> int:
        """Guess how many rows match in all, from the part that was looked at."""
        return max(found, found * len(self._rounds) // max(1, self._rounds_done))


def loose_chapters(catalogue: Catalogue) -> Iterator[ChapterRow]:
    """Yield the rows that the weekly history does not list: ordered, changed, irregular."""
    irregular = (each for each in catalogue.history.irregular if catalogue.is_untouched(each.key))
    return chain(catalogue.chapters.values(), irregular)


def too_costly() -> SimulatedError:
    """Return the refusal of a query that would have to derive millions of chapters."""
    return invalid_query(
        "mangadex_sim cannot answer this for so large a catalogue: ask for one"
        " manga, for ids, or with a …Since close to the present"
    )


def sort_chapters(rows: list[ChapterRow], order: dict[str, str]) -> list[ChapterRow]:
    """Sort by several fields; by creation where none is given. Ties go by key."""
    for field, direction in reversed((order or {"createdAt": "asc"}).items()):
        rows.sort(key=_sort_key(field), reverse=direction == "desc")
    return rows


def _sort_key(field: str) -> SortKey:
    if field in _INSTANTS:
        read = _INSTANTS[field]
        return lambda each: (read(each), each.key)
    if field == "volume":
        return lambda each: (*sortable(each.volume), each.key)
    return lambda each: (*sortable(each.number), each.key)


def _flag_tests(query: Query, now: int) -> list[Test]:
    """Return the tests of the include* flags and of the default filter."""
    tests: list[Test] = []
    if query.text("includeUnavailable") != "1":
        tests.append(lambda each: not each.unavailable)
    flags: dict[str, Test] = {
        "includeEmptyPages": lambda each: each.pages == 0,
        "includeFuturePublishAt": lambda each: each.publish > now,
        "includeExternalUrl": lambda each: each.external_url is not None,
    }
    given = {name: query.text(name) for name in flags if name in query}
    for name, value in given.items():
        tests.append(
            lambda each, is_such=flags[name], wanted=value == "1": (  # type: ignore[misc]
                is_such(each) == wanted
            )
        )
    if query.text("includeFutureUpdates") == "0" or (not given and "publishAtSince" in query):
        tests.append(lambda each: each.publish <= now)
    elif not given:
        tests.append(lambda each: each.readable <= now)
    return tests


def _attribute_tests(query: Query) -> list[Test]:
    tests: list[Test] = []
    if languages := query.items("translatedLanguage"):
        tests.append(lambda each: each.language in languages)
    if groups := set(query.items("groups")):
        tests.append(lambda each: not groups.isdisjoint(each.groups))
    if blocked := set(query.items("excludedGroups")):
        tests.append(lambda each: blocked.isdisjoint(each.groups))
    if uploaders := query.items("uploader"):
        tests.append(lambda each: each.uploader in uploaders)
    if avoided := query.items("excludedUploaders"):
        tests.append(lambda each: each.uploader not in avoided)
    if volumes := query.items("volume"):
        tests.append(lambda each: (each.volume or "none") in volumes)
    if numbers := query.items("chapter"):
        tests.append(lambda each: (each.number or "none") in numbers)
    if words := query.text("title"):
        tests.append(lambda each: words.lower() in (each.title or "").lower())
    return [*tests, *_host_tests(query)]


def _host_tests(query: Query) -> list[Test]:
    tests: list[Test] = []
    if wanted := query.text("externalUrl"):
        tests.append(lambda each: _host(each) == wanted.lower())
    if unwanted := query.text("excludeExternalUrl"):
        tests.append(lambda each: _host(each) != unwanted.lower())
    return tests


def _host(chapter: ChapterRow) -> str | None:
    return urlsplit(chapter.external_url).hostname if chapter.external_url else None
