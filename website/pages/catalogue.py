"""Titles: the catalogue, by name, genre and status."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

import sql
from website.pages.site import connected, visit
from website.rules.texts import plain
from website.store import catalogue
from website.store.catalogue import SORTS, STATUSES, CatalogueRow, Counts, Wanted

pages = Blueprint("catalogue", __name__)

_ROWS = 40
_MAX_QUERY = 200
_COUNTED_FOR = timedelta(minutes=10)
SORT_NAMES = {
    "best": "best match",
    "followed": "most followed",
    "added": "newest here",
    "title": "title",
}


class _CountCache:
    """The counts, for some minutes: they read whole tables, and need not be exact."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Counts | None = None
        self._until: datetime | None = None

    def read(self, connection: sql.Connection, now: datetime) -> Counts:
        with self._lock:
            if self._found is None or self._until is None or now >= self._until:
                self._found = catalogue.count_titles(connection)
                self._until = now + _COUNTED_FOR
            return self._found


_COUNTS = _CountCache()


@pages.get("/titles")
def show() -> ResponseReturnValue:
    found = visit()
    text = plain(request.args.get("q", ""))[:_MAX_QUERY]
    with connected() as connection:
        counts = _COUNTS.read(connection, found.now)
        query = catalogue.read_query(connection, text) if text else None
        wanted = _read_wanted(text, query)
        user_id = found.user.id if found.user else None
        rows = _list(connection, wanted, user_id) if query or not text else []
        is_mistyped = query is not None and not rows and not wanted.after
        corrected = _correct(connection, text, wanted) if query and is_mistyped else None
        nearby = _list(connection, corrected[1], user_id) if corrected else []
    return render_template(
        "titles.html",
        text=text,
        wanted=wanted,
        rows=rows[:_ROWS],
        more=_more(rows),
        corrected=corrected[0] if corrected and nearby else None,
        nearby=nearby[:_ROWS],
        counts=counts,
        sorts=[(name, SORT_NAMES[name]) for name in SORTS if name != "best" or query],
        address=_address,
        statuses=STATUSES,
    )


def _list(connection: sql.Connection, wanted: Wanted, user_id: Any) -> list[CatalogueRow]:
    return catalogue.list_titles(connection, wanted, user_id, visit().now, _ROWS + 1)


def _read_wanted(text: str, query: Any) -> Wanted:
    """Return what the address asks for."""
    status = request.args.get("status") or None
    sort = request.args.get("sort") or ("best" if query else "added")
    if status is not None and status not in STATUSES:
        abort(400, f"status is one of {', '.join(STATUSES)}.")
    if sort not in SORTS or (sort == "best" and not query):
        abort(400, f"sort is one of {', '.join(SORTS)}; best needs something to search for.")
    genre = plain(request.args.get("genre", "")) or None
    return Wanted(query, text.lower(), genre, status, sort, _read_place(sort))


def _read_place(sort: str) -> tuple[object, int] | None:
    """Return the place after which the list goes on, as `_more` has written it."""
    text = request.args.get("before")
    if not text:
        return None
    id_text, _, key = text.partition("-")
    if not id_text.isdecimal() or len(id_text) > 18:
        abort(400, "before is what the link to more titles has there.")
    if sort == "title":
        return key.replace("\0", ""), int(id_text)
    if not key.isdecimal() or len(key) > 12:
        abort(400, "before is what the link to more titles has there.")
    return int(key), int(id_text)


def _more(rows: list[CatalogueRow]) -> str | None:
    if len(rows) <= _ROWS:
        return None
    key, id = rows[_ROWS - 1].place
    return _address(before=f"{id}-{key}")


def _correct(connection: sql.Connection, text: str, wanted: Wanted) -> tuple[str, Wanted] | None:
    """Return the text with its mistyped words replaced by the nearest ones, and its search."""
    assert wanted.query is not None
    nearest = catalogue.correct(connection, wanted.query)
    if not nearest or not all(nearest.values()):
        return None
    words = [nearest[word][0] if word in nearest else word for word in wanted.query.words]
    query = catalogue.read_query(connection, corrected := " ".join(words))
    return corrected, replace(wanted, query=query, typed=corrected)


def _address(**changes: str | None) -> str:
    """Return this page's address with other values; a place holds for its own list only."""
    kept = {name: request.args.get(name) for name in ("q", "genre", "status", "sort")}
    values = {name: value for name, value in (kept | changes).items() if value}
    return f"/titles?{urlencode(values)}" if values else "/titles"
