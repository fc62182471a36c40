"""A title: facts, chapters by day, history; and following it."""

from __future__ import annotations

import re
from uuid import UUID

from flask import Blueprint, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue

import sql
from readers import library
from website.pages.gates import for_readers
from website.pages.site import connected, reader, visit
from website.rules.changes import describe_field, describe_value
from website.rules.cursors import Cursor
from website.rules.expectations import describe_next
from website.rules.links import link_places
from website.rules.news import lines_of
from website.rules.paths import own_path
from website.rules.sites import group_url, title_place
from website.store import releases
from website.store import title as store
from website.store.title import TitlePage

pages = Blueprint("title", __name__)

_CHAPTERS = 60
_ID = re.compile(r"([1-9]\d{0,17})(?:-.*)?", re.ASCII | re.DOTALL)


@pages.get("/titles/<key>")
def show(key: str) -> ResponseReturnValue:
    """Show a title by its id, id and slug, or id at the source."""
    user = visit().user
    with connected() as connection:
        found = _find(connection, key)
        days, older = store.list_days(connection, found.id, _read_cursor(), visit().now, _CHAPTERS)
        changes = store.list_changes(connection, found.id)
        following = store.read_following(connection, user.id, found.id) if user else None
        expected = releases.expect_one(connection, found.id, user.id if user else None, visit().now)
    return render_template(
        "title.html",
        title=found,
        source=title_place(found.mangadex_id),
        places=link_places(found.links),
        days=days,
        older=older,
        is_first="before" not in request.args,
        changes=changes,
        following=following,
        expected=expected,
        today=visit().now.date(),
        describe_next=describe_next,
        lines_of=lines_of,
        group_url=group_url,
        describe_field=describe_field,
        describe_value=describe_value,
    )


@pages.post("/titles/<int:manga_id>/follow")
@for_readers
def follow(manga_id: int) -> ResponseReturnValue:
    """Put a title into the reader's library, or take it out."""
    wanted = request.form.get("follow")
    if wanted not in ("1", "0"):
        abort(400, "follow is 1 or 0.")
    with connected() as connection:
        found = _find(connection, str(manga_id))
        rows = [library.TitleRow(found.id, found.title)]
        change = library.add_to_library if wanted == "1" else library.remove_from_library
        change(connection, reader(), rows)
    return redirect(own_path(request.form.get("next")) or f"/titles/{manga_id}", 303)


def _find(connection: sql.Connection, key: str) -> TitlePage:
    wanted: int | UUID
    if match := _ID.fullmatch(key):
        wanted = int(match[1])
    else:
        try:
            wanted = UUID(key)
        except ValueError:
            abort(404)
    return store.find_title(connection, wanted) or abort(404)


def _read_cursor() -> Cursor | None:
    text = request.args.get("before")
    try:
        return Cursor.parse(text) if text else None
    except ValueError:
        abort(400, "before is what the link to older chapters has there.")
