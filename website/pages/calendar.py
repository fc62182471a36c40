"""The calendar: a month of what came and of what may come."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from website.pages.site import connected, visit
from website.rules.calendar import make_month, neighbours, parse_month
from website.rules.expectations import describe_next
from website.store import releases
from website.store.followed import has_titles

pages = Blueprint("calendar", __name__)


@pages.get("/calendar")
def show() -> ResponseReturnValue:
    found = visit()
    today = found.now.date()
    first = _read_month(today)
    with connected() as connection:
        follows = found.user is not None and has_titles(connection, found.user)
        scope = request.args.get("scope", "mine" if follows else "all")
        if scope not in ("mine", "all"):
            abort(400, "scope is mine or all.")
        is_mine = scope == "mine" and found.user is not None
        titles = (
            releases.expect_library(connection, found.user.id, found.now)
            if is_mine and found.user
            else releases.expect_all(connection, found.now)
        )
    before, after = neighbours(first)
    return render_template(
        "calendar.html",
        month=make_month(first, titles),
        is_mine=is_mine,
        count=len(titles),
        most=releases.MOST_TITLES,
        today=today,
        before=before,
        after=after,
        address=lambda month, scope=scope: _address(month, scope, today),
        describe_next=describe_next,
    )


def _read_month(today: date) -> date:
    try:
        return parse_month(request.args.get("month") or None, today)
    except ValueError:
        abort(400, "month is such as 2026-12.")


def _address(month: date, scope: str, today: date) -> str:
    values = {"scope": scope if visit().user else None, "month": f"{month:%Y-%m}"}
    if month == today.replace(day=1):
        del values["month"]
    kept = {name: value for name, value in values.items() if value}
    return f"/calendar?{urlencode(kept)}" if kept else "/calendar"
