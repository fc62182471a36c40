"""Library: the titles that a reader follows; adding, muting, and how far he has read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

import sql
from readers import library, moves, preferences, progress
from readers.errors import NotFound
from website.pages.gates import for_readers
from website.pages.site import connected, reader, visit
from website.rules.expectations import describe_next
from website.rules.paths import own_path
from website.rules.prediction import Prediction
from website.rules.titles import name_of_title
from website.rules.upcoming import order_of
from website.store import library as store
from website.store import releases

pages = Blueprint("library", __name__, url_prefix="/me/library")

_ON_PAGE = 50
_POPULAR = 12
_MAX_TEXT = 500
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,2})?", re.ASCII)
_WHAT = {
    "added": "is in your library",
    "there": "was in your library already",
    "muted": "is muted: you are told nothing of it",
    "unmuted": "is not muted any more",
    "progress": "is noted",
    "moved": "takes the place of the title that is gone, with what you have read",
}


@pages.get("")
@for_readers
def show() -> ResponseReturnValue:
    return _page()


@pages.post("/add")
@for_readers
def add() -> ResponseReturnValue:
    """Follow the title that the form names by id, address, name or a part of its name."""
    text = name_of_title(request.form.get("title", "")[:_MAX_TEXT])
    if not text:
        return _page("Write a title, or its address at MangaDex.", 400)
    try:
        with connected() as connection:
            title = library.find_title(connection, text)
            before = {row.id for row in library.list_library(connection, reader())}
            library.add_to_library(connection, reader(), [title])
    except NotFound as exc:
        return _page(f"{str(exc)[:1].upper()}{str(exc)[1:]}.", 404, text)
    return _done("there" if title.id in before else "added", title)


@pages.post("/mute")
@for_readers
def mute() -> ResponseReturnValue:
    """Stop telling the reader of a title, or start again."""
    is_muted = request.form.get("muted") == "1"
    with connected() as connection:
        title = _read_title(connection)
        preferences.set_muted(connection, reader(), [title], is_muted)
    return _done("muted" if is_muted else "unmuted", title)


@pages.post("/move")
@for_readers
def move() -> ResponseReturnValue:
    """Let the title that is offered take the place of one that is gone."""
    with connected() as connection:
        old = _read_title(connection)
        found = moves.find_successors(connection, reader()).get(old.id)
        if found is None or str(found.new_id) != request.form.get("to"):
            abort(409, "That title is not offered any more: look at the library again.")
        moves.move(connection, reader(), old.id, found.new_id)
    return _done("moved", library.TitleRow(found.new_id, found.title))


@pages.post("/progress")
@for_readers
def note_progress() -> ResponseReturnValue:
    """Note up to which chapter the reader has read a title; notifications up to it become read."""
    number = request.form.get("number", "").strip()
    if not _NUMBER.fullmatch(number):
        abort(400, "The chapter is a number, such as 181 or 10.5.")
    with connected() as connection:
        title = _read_title(connection)
        progress.set_progress(connection, reader(), title, Decimal(number))
    return _done("progress", title)


def _read_title(connection: sql.Connection) -> library.TitleRow:
    text = request.form.get("manga", "")
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        abort(400, "manga is the id of a title.")
    try:
        return library.find_title(connection, f"id:{text}")
    except NotFound:
        abort(404, "There is no such title any more.")


def _done(what: str, title: library.TitleRow) -> Response:
    """Go back to where the form was; the library says what was done."""
    if back := own_path(request.form.get("next")):
        return make_response(redirect(back, 303))
    after = request.form.get("after", "")
    place = f"&after={after}" if re.fullmatch(r"\d{1,18}", after, re.ASCII) else ""
    path = f"/me/library?done={what}&manga={title.id}{place}#t-{title.id}"
    return make_response(redirect(path, 303))


def _page(error: str | None = None, status: int = 200, text: str = "") -> Response:
    with connected() as connection:
        expected = releases.expect_library(connection, reader().id, visit().now)
        nexts = {each.manga_id: each.next for each in expected}
        followed = _in_order(store.list_followed(connection, reader().id), nexts)
        is_any_gone = any(each.is_gone for each in followed)
        successors = moves.find_successors(connection, reader()) if is_any_gone else {}
        popular = [] if followed else store.list_popular(connection, _POPULAR)
    after = request.values.get("after", "")
    start = next((n for n, each in enumerate(followed, 1) if str(each.id) == after), 0)
    shown = followed[start : start + _ON_PAGE]
    has_more = len(followed) > start + _ON_PAGE
    changed = next((f for f in followed if str(f.id) == request.args.get("manga")), None)
    page = render_template(
        "library.html",
        followed=shown,
        nexts=nexts,
        describe_next=describe_next,
        today=visit().now.date(),
        count=len(followed),
        after=after if start else None,
        next_after=shown[-1].id if has_more else None,
        popular=popular,
        successors=successors,
        error=error,
        text=text,
        changed=changed,
        done=_WHAT.get(request.args.get("done", "")),
        is_first=len(followed) == 1 and request.args.get("done") == "added",
    )
    return make_response(page, status)


def _in_order(
    followed: list[store.Followed], nexts: Mapping[int, Prediction]
) -> list[store.Followed]:
    """Return titles by when they are expected; others as they are, the latest chapter first."""
    return sorted(
        followed, key=lambda each: order_of(nexts[each.id]) if each.id in nexts else date.max
    )
