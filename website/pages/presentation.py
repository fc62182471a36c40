"""What all templates may use: filters, and facts of the visit."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, g, request, url_for
from markupsafe import Markup

from website.pages.site import Visit, site
from website.rules.ages import describe_age, describe_day, near_day
from website.rules.numbers import describe_number
from website.rules.texts import plain
from website.security import forms

THEMES = ("system", "light", "dark")
THEME_COOKIE = "theme"
KEYS = ("on", "off")
KEYS_COOKIE = "keys"
MAX_TITLE = 300


def install(app: Flask) -> None:
    """Give an application's templates what they share."""
    app.add_template_filter(_age, "age")
    app.add_template_filter(_day, "day")
    app.add_template_filter(_near, "near")
    app.add_template_filter(_iso, "iso")
    app.add_template_filter(describe_number, "number")
    app.add_template_filter(plain, "plain")
    app.context_processor(_facts)


def _facts() -> dict[str, Any]:
    """Return what is known of every request, also of one that has failed before its view."""
    found: Visit | None = g.get("visit")
    theme = request.cookies.get(THEME_COOKIE)
    return {
        "visit": found,
        "session": found.session if found else None,
        "may_look_around": site().given.config.visitors or bool(found and found.session),
        "form_token": _form_token,
        "asset": _asset,
        "theme": theme if theme in THEMES else "system",
        "has_keys": request.cookies.get(KEYS_COOKIE) != "off",
        "here": request.path,
        "back": request.full_path.rstrip("?") if request.method == "GET" else "/",
    }


def _form_token() -> Markup:
    """Return the hidden field that each form of ours carries."""
    g.has_form = True
    field = Markup('<input type="hidden" name="{}" value="{}">')
    return field.format(forms.FIELD, g.visit.form_token)


def _asset(name: str) -> str:
    """Return the address of a static file, a new one whenever its content is."""
    return url_for("static", filename=name, v=_digest(name))


@cache
def _digest(name: str) -> str:
    content = (Path(__file__).parents[1] / "static" / name).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def _today() -> date:
    found: Visit | None = g.get("visit")
    return (found.now if found else datetime.now(UTC)).date()


def _age(value: datetime) -> str:
    """Return how long ago that was, such as `12 min`."""
    return describe_age(value, g.visit.now)


def _day(value: date) -> str:
    """Return `Thursday 3 December`; with the year unless it is this one's."""
    return describe_day(value, _today())


def _near(value: date) -> str | None:
    """Return `Today` or `Yesterday`, None for another day."""
    return near_day(value, _today())


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="seconds").replace("+00:00", "Z")
