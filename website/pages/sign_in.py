"""Signing in, by a link or with name and key, and out."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

import sql
from mangahub.sockets import is_loopback
from readers import keys, sessions, sign_in_links
from readers.errors import NotFound
from readers.users import User, find_user
from website.pages.gates import open_to_all
from website.pages.site import connected, site, visit
from website.rules.browsers import describe_browser
from website.rules.paths import own_path
from website.security.cookies import Cookies
from website.store.followed import has_titles

pages = Blueprint("sign_in", __name__)

_WRONG = "This name and key do not belong together."
_WORN_OUT = "This link has been used, or is too old."
_MAX_NAME = 200


@pages.get("/sign-in")
@open_to_all
def show() -> ResponseReturnValue:
    if visit().session:
        return redirect(own_path(request.args.get("next")) or "/")
    return _form()


@pages.post("/sign-in")
@open_to_all
def sign_in() -> ResponseReturnValue:
    name, key = request.form.get("name", "")[:_MAX_NAME], request.form.get("key", "").strip()
    with connected() as connection:
        user = _find_by_key(connection, name, key)
        if user is None:
            return _form(_WRONG, name, 403)
        return _welcome(connection, user)


@pages.get("/sign-in/<token>")
@open_to_all
def show_link(token: str) -> ResponseReturnValue:
    """Show a button, as programs that preview links open them too: the POST uses the link up."""
    with connected() as connection:
        user = sign_in_links.find_link(connection, token)
    return _unkept(render_template("sign_in_link.html", user=user), 200 if user else 404)


@pages.post("/sign-in/<token>")
@open_to_all
def use_link(token: str) -> ResponseReturnValue:
    with connected() as connection:
        user = sign_in_links.consume_link(connection, token)
        if user is None:
            return _unkept(render_template("sign_in_link.html", user=None), 404)
        return _welcome(connection, user)


@pages.post("/sign-out")
@open_to_all
def sign_out() -> ResponseReturnValue:
    answer = make_response(redirect("/", 303))
    if session := visit().session:
        with connected() as connection:
            sessions.end_session(connection, session.user, session.id)
    Cookies(site().given.addresses).end_session(answer)
    return answer


def _find_by_key(connection: sql.Connection, name: str, key: str) -> User | None:
    """Return the user of this name or id, None unless the key is his."""
    try:
        user = find_user(connection, name.replace("\0", "").strip())
    except NotFound:
        return None
    right = keys.user_key(connection, site().given.secret, user)
    return user if hmac.compare_digest(key.encode(errors="replace"), right.encode()) else None


def _welcome(connection: sql.Connection, user: User) -> Response:
    """Sign a user in, always by a new session, and lead to where there is something to see."""
    if before := visit().session:
        sessions.end_session(connection, before.user, before.id)
    browser = describe_browser(request.headers.get("User-Agent", ""))
    token = sessions.open_session(connection, user, browser)
    first = "/" if has_titles(connection, user) else "/me/library"
    answer = make_response(redirect(own_path(request.form.get("next")) or first, 303))
    Cookies(site().given.addresses).set_session(answer, token)
    g.new_form_cookie = None
    return answer


def _form(error: str | None = None, name: str = "", status: int = 200) -> Response:
    page = render_template(
        "sign_in.html",
        error=error,
        name=name,
        next=own_path(request.values.get("next")) or "",
        is_readable_by_others=_is_readable_by_others(),
    )
    return _unkept(page, status)


def _is_readable_by_others() -> bool:
    """Return whether what is sent here travels unencrypted over a network."""
    host = request.host.rpartition(":")[0] if request.host[-1:] != "]" else request.host
    return not request.is_secure and not is_loopback((host or request.host).strip("[]"))


def _unkept(page: str, status: int) -> Response:
    answer = make_response(page, status)
    answer.headers["Cache-Control"] = "no-store"
    return answer
