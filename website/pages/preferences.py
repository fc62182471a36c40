"""Preferences: what a reader is told of."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

import sql
from readers import preferences
from readers.errors import InvalidPreference, NotFound
from readers.users import User
from website.pages.gates import for_readers
from website.pages.site import connected, reader, visit
from website.store import news
from website.store.genres import list_genres

pages = Blueprint("preferences", __name__, url_prefix="/me/preferences")

_MAX_TEXT = 2_000


@pages.get("")
@for_readers
def show() -> ResponseReturnValue:
    return _page()


@pages.post("/languages")
@for_readers
def set_languages() -> ResponseReturnValue:
    """Set the languages of chapters; none chosen and none written means all."""
    text = ",".join([*request.form.getlist("language"), request.form.get("others", "")])
    return _change(lambda connection, user: _set_languages(connection, user, text))


@pages.post("/new-titles")
@for_readers
def set_new_titles() -> ResponseReturnValue:
    """Set the new titles: all, none, or those of the chosen genres."""
    which = request.form.get("which", "")
    text = ",".join(request.form.getlist("genre")) or "none" if which == "genres" else which

    def change(connection: sql.Connection, user: User) -> None:
        parsed = preferences.parse_new_titles(connection, text[:_MAX_TEXT])
        preferences.set_new_titles(connection, user, parsed)

    return _change(change)


@pages.post("/groups")
@for_readers
def set_groups() -> ResponseReturnValue:
    """Block a group by name, or unblock one by id."""
    block, unblock = request.form.get("block", "").strip(), request.form.get("unblock", "")

    def change(connection: sql.Connection, user: User) -> None:
        group = preferences.find_group(connection, (block or unblock)[:_MAX_TEXT].replace("\0", ""))
        change_groups = preferences.block_groups if block else preferences.unblock_groups
        change_groups(connection, user, [group])

    return _change(change) if block or unblock else _page("Write the name of a group.", 400)


def _set_languages(connection: sql.Connection, user: User, text: str) -> None:
    chosen = [code.strip() for code in text[:_MAX_TEXT].split(",") if code.strip()]
    languages = preferences.parse_languages(",".join(chosen)) if chosen else None
    preferences.set_languages(connection, user, languages)


def _change(change: Callable[[sql.Connection, User], None]) -> Response:
    try:
        with connected() as connection:
            change(connection, reader())
    except (InvalidPreference, NotFound) as exc:
        return _page(f"{str(exc)[:1].upper()}{str(exc)[1:]}.", 400)
    return make_response(redirect("/me/preferences?done=1", 303))


def _page(error: str | None = None, status: int = 200) -> Response:
    with connected() as connection:
        own = preferences.read(connection, reader())
        known = news.list_languages(connection, visit().now)
        genres = list_genres(connection)
    chosen = own.languages or []
    page = render_template(
        "preferences.html",
        own=own,
        languages=sorted({*known, *chosen}),
        chosen=chosen,
        genres=genres,
        chosen_genres=own.new_titles.split(",") if own.new_titles not in ("all", "none") else [],
        error=error,
        done="done" in request.args,
    )
    return make_response(page, status)
