"""The endpoints that take more than a path and a query: a login, a token, or a body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mangadex_sim.api import endpoints
from mangadex_sim.api.accounts import TOKEN_PATH, Accounts, read_mapping
from mangadex_sim.api.query import Query
from mangadex_sim.api.router import Router
from mangadex_sim.catalogue.ids import UUID_PATTERN
from mangadex_sim.catalogue.models import Json, invalid_query
from mangadex_sim.catalogue.state import Catalogue

MAPPING_PATH = "/legacy/mapping"
MOST_MAPPING_BYTES = 10_240  # "The size of the body is limited to 10KB"
POSTS = (TOKEN_PATH, MAPPING_PATH)
_LIST = re.compile(f"/list/({UUID_PATTERN.pattern})")


class AccountRouter:
    """Answers those endpoints. The caller holds the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, api: Router) -> None:
        self._catalogue = catalogue
        self._api = api
        self.accounts = Accounts()

    def route_of(self, path: str) -> str | None:
        """Return the pattern that a path belongs to, None if it is none of these."""
        if path in (*POSTS, "/manga/status", "/user/follows/manga"):
            return path
        return "/list/{id}" if _LIST.fullmatch(path) else None

    def answer(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes, now: int
    ) -> Json:
        """Return the JSON of a 200; raises SimulatedError, or LoginError of the auth host."""
        token = headers.get("authorization", "")
        if path == TOKEN_PATH:
            return self.accounts.log_in(body)
        if path == MAPPING_PATH:
            return read_mapping(_read_json(body), self._title_of)
        if path == "/manga/status":
            return self.accounts.show_statuses(token, query)
        if match := _LIST.fullmatch(path):
            return self.accounts.show_list(match[1].lower(), token, query)
        return self._list_follows(token, query, now)

    def _title_of(self, number: int) -> str | None:
        """Return the id of a title's old number, which is its index and one."""
        known = 0 < number <= self._catalogue.size
        return self._catalogue.ids.title(number - 1) if known else None

    def _list_follows(self, token: str, query: str, now: int) -> Json:
        follows = self.accounts.signed_in(token).follows
        asked = Query(endpoints.FOLLOWS, query)
        offset, limit = asked.integer("offset", 0), asked.integer("limit", 10)
        page = [each for each in follows if self._catalogue.find_title(each) is not None]
        data = [
            self._api.show_manga(each, Query(endpoints.MANGA, ""), now)["data"]
            for each in page[offset : offset + limit]
        ]
        return {
            "result": "ok",
            "response": "collection",
            "data": data,
            "limit": limit,
            "offset": offset,
            "total": len(page),
        }


def _read_json(body: bytes) -> object:
    if len(body) > MOST_MAPPING_BYTES:
        raise invalid_query(f"The body has {len(body)} bytes, and may have {MOST_MAPPING_BYTES}")
    try:
        return json.loads(body)
    except ValueError as error:
        raise invalid_query("Invalid JSON body") from error
