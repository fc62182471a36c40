"""Inbox: what a reader was told, unread first; marking it, and undoing that."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue

import sql
from readers.users import User
from website.pages.gates import for_readers
from website.pages.site import connected, reader
from website.rules.inbox import InboxCursor, facts_of, parse_ids, place_of
from website.store import inbox
from website.store.inbox import Item

pages = Blueprint("inbox", __name__, url_prefix="/me/inbox")

_ON_PAGE = 50
_BEFORE_ALL = 2**63 - 1


@pages.get("")
@for_readers
def show() -> ResponseReturnValue:
    before = _read_cursor()
    with connected() as connection:
        items = _list(connection, reader(), before, _ON_PAGE + 1)
    shown = items[:_ON_PAGE]
    last = shown[-1] if len(items) > _ON_PAGE else None
    return render_template(
        "inbox.html",
        unread=[item for item in shown if not item.is_read],
        read=[item for item in shown if item.is_read],
        older=str(InboxCursor(last.is_read, last.id)) if last else None,
        before=request.args.get("before"),
        undo=_read_ids(request.args.getlist("undo")),
        was_read=request.args.get("as") == "read",
        facts_of=facts_of,
        place_of=place_of,
    )


@pages.post("/mark")
@for_readers
def mark() -> ResponseReturnValue:
    """Mark the notifications that the form names as read or unread; say how to undo it."""
    state = request.form.get("as")
    if state not in ("read", "unread"):
        abort(400, "as is read or unread.")
    ids = _read_ids(request.form.getlist("id"))
    with connected() as connection:
        changed = inbox.mark(connection, reader().id, ids, state == "read")
    undo = None if "undo" in request.form else ".".join(map(str, changed)) or None
    before = request.form.get("before")
    values = {"before": before, "undo": undo, "as": state if undo else None}
    query = urlencode({name: value for name, value in values.items() if value})
    return redirect(f"/me/inbox?{query}" if query else "/me/inbox", 303)


def _list(
    connection: sql.Connection, user: User, before: InboxCursor | None, limit: int
) -> list[Item]:
    """Return the next items: unread ones, then read ones."""
    found: list[Item] = []
    if before is None or not before.is_read:
        start = before.id if before else _BEFORE_ALL
        found = inbox.list_items(connection, user.id, False, start, limit)
    start = before.id if before and before.is_read else _BEFORE_ALL
    return found + inbox.list_items(connection, user.id, True, start, limit - len(found))


def _read_cursor() -> InboxCursor | None:
    text = request.args.get("before")
    try:
        return InboxCursor.parse(text) if text else None
    except ValueError:
        abort(400, "before is what the link to older ones has there.")


def _read_ids(texts: list[str]) -> list[int]:
    try:
        return parse_ids(texts)
    except ValueError as exc:
        abort(400, f"{exc}.")
