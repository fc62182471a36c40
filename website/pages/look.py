"""How pages look and which keys they hear, in cookies, so that the first paint is right."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, request
from flask.typing import ResponseReturnValue

from website.pages.gates import open_to_all
from website.pages.presentation import KEYS, KEYS_COOKIE, THEME_COOKIE, THEMES
from website.pages.site import site
from website.rules.paths import own_path

pages = Blueprint("look", __name__)

_CHOICES = {THEME_COOKIE: THEMES, KEYS_COOKIE: KEYS}
_YEAR_S = 365 * 86_400


@pages.post("/look")
@open_to_all
def choose() -> ResponseReturnValue:
    """Remember the theme, or whether keys are heard, and go back."""
    answer = make_response(redirect(own_path(request.form.get("back")) or "/", 303))
    for name, allowed in _CHOICES.items():
        if (value := request.form.get(name)) in allowed:
            secure = site().given.addresses.is_https
            answer.set_cookie(name, str(value), _YEAR_S, secure=secure, samesite="Lax")
    return answer
