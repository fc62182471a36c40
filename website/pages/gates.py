"""What every request passes before its view: whose it is, and whether it may."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import ParamSpec

from flask import Request, Response, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from readers.sessions import find_session
from website.pages.site import Site, Visit, visit
from website.security import forms
from website.security.cookies import Cookies
from website.store.followed import count_unread

P = ParamSpec("P")

_OPEN = "open_to_all"
_UPLOAD = "most_bytes"
_SIGN_IN = ("sign_in.sign_in", "sign_in.use_link")
_WITHOUT_SESSION = (None, "static", "upkeep.healthz", "upkeep.readyz", "upkeep.metrics")


def open_to_all(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Mark a view that is also for visitors of a site with WEB_VISITORS=off, such as sign-in."""
    setattr(view, _OPEN, True)
    return view


def takes_upload(
    most_bytes: int,
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Mark a view whose form may be larger than others."""

    def mark(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        setattr(view, _UPLOAD, most_bytes)
        return view

    return mark


def for_readers(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Let only those in who are signed in; send others to sign-in and back."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        return view(*args, **kwargs) if visit().session else _to_sign_in(request)

    return guarded


def for_operators(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Let only operators in."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if visit().session is None:
            return _to_sign_in(request)
        if not visit().is_operator:
            abort(403, "This page is for the operators of this server.")
        return view(*args, **kwargs)

    return guarded


def _to_sign_in(request: Request) -> ResponseReturnValue:
    if request.method not in forms.SAFE_METHODS:
        abort(403, "You are not signed in any more. Sign in and send the form again.")
    return redirect(url_for("sign_in.show", next=request.full_path.rstrip("?")))


class Gates:
    """Finds out who visits, and rejects forms that were not sent from here."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._cookies = Cookies(site.given.addresses)

    def receive(self) -> ResponseReturnValue | None:
        """Note the visit; return an answer where the view must not be called."""
        token = forms.make_token(self._site.given.secret, self._binding())
        # An error page is for a visitor, where the database cannot say who it is.
        g.visit = Visit(self._site.now(), None, token)
        if request.method not in forms.SAFE_METHODS:
            self._count_try()
            view = current_app.view_functions.get(request.endpoint or "")
            if most := getattr(view, _UPLOAD, None):
                request.max_content_length = most
            self._require_own_form(token)
        self._find_session()
        return None if g.visit.session or self._is_open() else _to_sign_in(request)

    def send_form_cookie(self, response: Response) -> Response:
        """Give a new visitor's browser the cookie that the forms of this page belong to."""
        if g.get("has_form") and (cookie := g.get("new_form_cookie")):
            self._cookies.set_form(response, cookie)
        return response

    def _find_session(self) -> None:
        token = self._cookies.read_session(request)
        if not token or request.endpoint in _WITHOUT_SESSION:
            return
        with self._site.database.connection() as connection:
            if session := find_session(connection, token):
                unread = count_unread(connection, session.user)
                g.visit = replace(g.visit, session=session, unread=unread)

    def _is_open(self) -> bool:
        if self._site.given.config.visitors or request.endpoint in (None, "static"):
            return True
        return bool(getattr(current_app.view_functions[request.endpoint], _OPEN, False))

    def _binding(self) -> str:
        """Return the cookie that this browser's forms belong to; a new visitor gets one."""
        cookie = self._cookies.read_session(request) or self._cookies.read_form(request)
        if not cookie:
            cookie = g.new_form_cookie = secrets.token_urlsafe(32)
        return cookie

    def _count_try(self) -> None:
        """Count a try to sign in, whatever else is wrong with it."""
        address = request.remote_addr or ""
        if request.endpoint in _SIGN_IN and not self._site.sign_in_limits.admit(
            address, monotonic()
        ):
            abort(429, "Too many tries to sign in. Wait a minute, then try again.")

    def _require_own_form(self, token: str) -> None:
        """Check where the form comes from, and its token; a new cookie's token nobody knows."""
        url = self._site.given.config.url or f"{request.scheme}://{request.host}"
        origin_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if not forms.comes_from_here(origin_site, origin, url):
            abort(403, "This form was not sent from a page of this site.")
        if not forms.has_token(request.form.get(forms.FIELD, ""), token):
            abort(403, "This form is out of date. Go back, load the page anew, and send it again.")
