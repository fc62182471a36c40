"""New: which chapters came, newest first, by day."""

from __future__ import annotations

import itertools
import re
from urllib.parse import urlencode

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

import sql
from website.pages.site import connected, visit
from website.rules.cursors import Cursor
from website.rules.expectations import describe_next
from website.rules.news import lines_of
from website.rules.sites import group_url
from website.rules.upcoming import choose_next
from website.store import checks, news, releases
from website.store.followed import count_titles
from website.store.releases import Expected

pages = Blueprint("new", __name__)

_ROWS = 30
_MOST_EXPECTED = 300  # of more titles the calendar tells: to reckon takes 0.1 ms a title
_LANGUAGE = re.compile(r"[a-z]{2}(-[a-z]{2})?")


@pages.get("/")
def show() -> ResponseReturnValue:
    found = visit()
    with connected() as connection:
        count = count_titles(connection, found.user, _MOST_EXPECTED + 1) if found.user else 0
        wanted = _read_filter(count > 0)
        rows = news.list_rows(connection, wanted, _read_cursor(), found.now, _ROWS + 1)
        languages = news.list_languages(connection, found.now)
        check = checks.last_check(connection)
        expected = _expect(connection, wanted, count)
        newest = None if rows else news.list_rows(connection, news.Filter(), None, found.now, 1)
    shown = rows[:_ROWS]
    return render_template(
        "new.html",
        days=[(day, list(of)) for day, of in itertools.groupby(shown, key=lambda row: row.day)],
        older=_address(before=str(shown[-1].cursor)) if len(rows) > _ROWS else None,
        is_first="before" not in request.args,
        wanted=wanted,
        follows=count > 0,
        languages=languages,
        check=check,
        newest=newest[0] if newest else None,
        upcoming=choose_next(expected, found.now.date()),
        describe_next=describe_next,
        today=found.now.date(),
        lines_of=lines_of,
        group_url=group_url,
        address=_address,
    )


def _expect(connection: sql.Connection, wanted: news.Filter, count: int) -> list[Expected]:
    """Return what is expected of the reader's titles; it stands beside his newest rows alone."""
    is_first = wanted.is_mine and "before" not in request.args
    if wanted.user_id is None or not is_first or count > _MOST_EXPECTED:
        return []
    return releases.expect_library(connection, wanted.user_id, visit().now)


def _read_filter(follows: bool) -> news.Filter:
    """Return what the address asks for; by default one's own titles, where there are some."""
    user = visit().user
    scope = request.args.get("scope", "mine" if follows else "all")
    language = request.args.get("lang") or None
    if scope not in ("mine", "all"):
        abort(400, "scope is mine or all.")
    if language is not None and not _LANGUAGE.fullmatch(language):
        abort(400, "lang is the code of a language, such as en or pt-br.")
    if user is None:
        return news.Filter(language=language)
    return news.Filter(user.id, scope == "mine", language, request.args.get("unread") == "1")


def _read_cursor() -> Cursor | None:
    text = request.args.get("before")
    try:
        return Cursor.parse(text) if text else None
    except ValueError:
        abort(400, "before is what the link to older rows has there.")


def _address(**changes: str | None) -> str:
    """Return this page's address with other values; a cursor holds for its own list only."""
    kept = {name: request.args.get(name) for name in ("scope", "lang", "unread")}
    values = {name: value for name, value in (kept | changes).items() if value}
    return f"/?{urlencode(values)}" if values else "/"
