"""What all templates may use: filters, and facts of the visit."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from flask import Flask, g, request
from markupsafe import Markup

from website.pages.site import Visit
from website.security import forms

THEMES = ("system", "light", "dark")
THEME_COOKIE = "theme"
KEYS_COOKIE = "keys"
MAX_TITLE = 300


def install(app: Flask) -> None:
    """Give an application's templates what they share."""
    app.add_template_filter(_day, "day")
    app.add_template_filter(_iso, "iso")
    app.context_processor(_facts)


def _facts() -> dict[str, Any]:
    found: Visit | None = g.get("visit")
    theme = request.cookies.get(THEME_COOKIE)
    return {
        "visit": found,
        "form_token": _form_token,
        "theme": theme if theme in THEMES else "system",
        "has_keys": request.cookies.get(KEYS_COOKIE) != "off",
        "here": request.path,
    }


def _form_token() -> Markup:
    """Return the hidden field that each form of ours carries."""
    field = Markup('<input type="hidden" name="{}" value="{}">')
    return field.format(forms.FIELD, g.visit.form_token)


def _day(value: date) -> str:
    """Return `Thursday 3 December`; with the year unless it is this one's."""
    now: Visit | None = g.get("visit")
    text = f"{value:%A} {value.day} {value:%B}"
    return text if now is not None and value.year == now.now.year else f"{text} {value.year}"


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="seconds").replace("+00:00", "Z")
