"""Suggestions: titles that a reader may like, and the reader's own that they are like."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from readers import suggestions
from website.pages.gates import for_readers
from website.pages.site import connected, reader
from website.store import suggested

pages = Blueprint("suggestions", __name__, url_prefix="/me/suggestions")

_ON_PAGE = 20


@pages.get("")
@for_readers
def show() -> ResponseReturnValue:
    with connected() as connection:
        found = suggestions.suggest(connection, reader(), datetime.now(UTC), _ON_PAGE)
        about = suggested.describe(connection, [each.manga_id for each in found])
    rows = [(each, about[each.manga_id]) for each in found if each.manga_id in about]
    return render_template("suggestions.html", rows=rows)
