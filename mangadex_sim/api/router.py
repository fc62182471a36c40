"""The endpoints: path and query in, JSON out. No sockets, no rate rule, no faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from mangadex_sim.api import endpoints
from mangadex_sim.api.aggregate import aggregate
from mangadex_sim.api.chapter_list import MOST_LISTED, ChapterSelector, Selection
from mangadex_sim.api.manga_list import MangaSelector
from mangadex_sim.api.query import Query, Schema
from mangadex_sim.api.render import render_chapter, render_title
from mangadex_sim.catalogue.ids import UUID_PATTERN
from mangadex_sim.catalogue.models import Json, SimulatedError, invalid_query, not_found
from mangadex_sim.catalogue.state import Catalogue

T = TypeVar("T")
Endpoint = Callable[[str, Query, int], Json]

_NO_ROUTE = "No route found for"


class Router:
    """Answers the reading endpoints from a catalogue. The caller holds the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, since_inclusive: bool) -> None:
        self._catalogue = catalogue
        self._manga = MangaSelector(catalogue, since_inclusive)
        self._chapters = ChapterSelector(catalogue, since_inclusive)
        self._routes: list[tuple[re.Pattern[str], str, Schema, Endpoint]] = [
            (
                re.compile(pattern.replace("{id}", f"({UUID_PATTERN.pattern})")),
                pattern,
                schema,
                endpoint,
            )
            for pattern, schema, endpoint in self._table()
        ]

    def _table(self) -> list[tuple[str, Schema, Endpoint]]:
        return [
            ("/manga", endpoints.MANGA_LIST, self.list_manga),
            ("/manga/tag", endpoints.NOTHING, self.list_tags),
            ("/manga/{id}", endpoints.MANGA, self.show_manga),
            ("/manga/{id}/feed", endpoints.FEED, self.list_feed),
            ("/manga/{id}/aggregate", endpoints.AGGREGATE, self.show_aggregate),
            ("/chapter", endpoints.CHAPTER_LIST, self.list_chapters),
            ("/chapter/{id}", endpoints.CHAPTER, self.show_chapter),
            ("/statistics/manga", endpoints.STATISTICS, self.show_statistics),
        ]

    def answer(self, path: str, query: str, now: int) -> Json:
        """Return the JSON of a GET; raises SimulatedError for everything that is not a 200."""
        for pattern, _, schema, endpoint in self._routes:
            match = pattern.fullmatch(path)
            if match:
                argument = match[1].lower() if pattern.groups else ""
                return endpoint(argument, Query(schema, query), now)
        raise not_found(f'{_NO_ROUTE} "GET {path}"')

    def route_of(self, path: str) -> str:
        """Return the pattern that a path belongs to, for counting; the path itself if none."""
        for pattern, name, _, _ in self._routes:
            if pattern.fullmatch(path):
                return name
        return path

    # --- manga ---------------------------------------------------------------------------------

    def list_manga(self, _: str, query: Query, now: int) -> Json:
        """Answer GET /manga."""
        offset, limit = _window(query, 10)
        selected = self._manga.select(query, now)
        titles = (self._catalogue.title(index, now) for index in selected[offset : offset + limit])
        includes = query.items("includes")
        return _collection(
            [render_title(self._catalogue, each, includes, now) for each in titles],
            limit,
            offset,
            len(selected),
        )

    def show_manga(self, manga_id: str, query: Query, now: int) -> Json:
        """Answer GET /manga/{id}; the content rating is not applied here."""
        index = self._catalogue.find_title(manga_id)
        if index is None:
            raise not_found(f"Manga with ID {manga_id} does not exist")
        title = self._catalogue.title(index, now)
        return _entity(render_title(self._catalogue, title, query.items("includes"), now))

    def list_tags(self, _: str, query: Query, now: int) -> Json:
        """Answer GET /manga/tag: the whole list."""
        tags = self._catalogue.tags.everything()
        return _collection(tags, len(tags), 0, len(tags))

    def show_aggregate(self, manga_id: str, query: Query, now: int) -> Json:
        """Answer GET /manga/{id}/aggregate."""
        index = self._catalogue.find_title(manga_id)
        languages, groups = query.items("translatedLanguage"), query.items("groups")
        rows = [
            each
            for each in (self._catalogue.chapters_of(index) if index is not None else [])
            if each.readable <= now
            and (not each.unavailable or query.text("includeUnavailable") == "1")
            and (not languages or each.language in languages)
            and (not groups or not set(groups).isdisjoint(each.groups))
        ]
        return {"result": "ok", "volumes": aggregate(rows, self._catalogue.ids)}

    def show_statistics(self, _: str, query: Query, now: int) -> Json:
        """Answer GET /statistics/manga."""
        if not query.items("manga"):
            raise invalid_query("The property manga is required")
        found = ((each, self._catalogue.find_title(each)) for each in query.items("manga"))
        return {
            "result": "ok",
            "statistics": {
                manga_id: self._statistics(index) for manga_id, index in found if index is not None
            },
        }

    def _statistics(self, index: int) -> Json:
        average = 5 + index * 7_919 % 1_000 / 200
        unavailable = sum(each.unavailable for each in self._catalogue.chapters_of(index))
        return {
            "comments": None,
            "rating": {"average": average, "bayesian": average},
            "follows": self._catalogue.facts(index).follows,
            "unavailableChaptersCount": unavailable,
        }

    # --- chapters ------------------------------------------------------------------------------

    def list_feed(self, manga_id: str, query: Query, now: int) -> Json:
        """Answer GET /manga/{id}/feed; a removed title's feed is 200 and empty."""
        index = self._catalogue.find_title(manga_id)
        return self._page(query, 100, now, self._chapters.of_title(index, query, now))

    def list_chapters(self, _: str, query: Query, now: int) -> Json:
        """Answer GET /chapter."""
        offset, limit = _window(query, 10)
        hosts = [name for name in ("externalUrl", "excludeExternalUrl") if name in query]
        if hosts and "manga" not in query:
            raise invalid_query(f"[{hosts[0]}] Requires accompanying manga filter")
        if manga_id := query.text("manga"):
            selection = self._chapters.of_title(self._catalogue.find_title(manga_id), query, now)
            ids = query.items("ids")
            if ids:
                rows = [
                    each for each in selection.rows if self._catalogue.ids.to_text(each.key) in ids
                ]
                selection = Selection(rows, len(rows))
        elif ids := query.items("ids"):
            selection = self._chapters.of_ids(ids, query, now)
        else:
            selection = self._chapters.everywhere(query, offset + limit, now)
        return self._page(query, 10, now, selection)

    def show_chapter(self, chapter_id: str, query: Query, now: int) -> Json:
        """Answer GET /chapter/{id}; a scheduled one is not found yet."""
        chapter = self._catalogue.find_chapter(chapter_id)
        if chapter is None or chapter.readable > now:
            raise not_found(f"Chapter with ID {chapter_id} does not exist")
        return _entity(render_chapter(self._catalogue, chapter, query.items("includes"), now))

    def _page(self, query: Query, default_limit: int, now: int, selection: Selection) -> Json:
        offset, limit = _window(query, default_limit)
        includes = query.items("includes")
        data = [
            render_chapter(self._catalogue, each, includes, now)
            for each in _cut(selection.rows, offset, limit)
        ]
        return _collection(data, limit, offset, selection.total)


def _window(query: Query, default_limit: int) -> tuple[int, int]:
    """Return (offset, limit); beyond 10,000 is the search engine's 400."""
    offset, limit = query.integer("offset", 0), query.integer("limit", default_limit)
    if offset + limit > MOST_LISTED:
        raise SimulatedError(
            400,
            "bad_request_http_exception",
            "Result window is too large, from + size must be less than or equal to:"
            f" [{MOST_LISTED}] but was [{offset + limit}]. See the scroll api for a more efficient"
            " way to request large data sets. This limit can be set by changing the"
            " [index.max_result_window] index level setting. [reason: all shards failed]",
        )
    return offset, limit


def _cut(rows: Sequence[T], offset: int, limit: int) -> Sequence[T]:
    return rows[offset : offset + limit]


def _collection(data: list[Json], limit: int, offset: int, total: int) -> Json:
    return {
        "result": "ok",
        "response": "collection",
        "data": data,
        "limit": limit,
        "offset": offset,
        "total": total,
    }


def _entity(data: Json) -> Json:
    return {"result": "ok", "response": "entity", "data": data}
