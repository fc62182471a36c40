"""What every request passes before its view: whose it is, and whether it may."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from typing import ParamSpec

from flask import Request, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from readers.sessions import Session, find_session
from website.pages.site import Site, Visit, visit
from website.security import forms
from website.security.cookies import Cookies

P = ParamSpec("P")

_OPEN = "open_to_all"


def open_to_all(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Mark a view that is also for visitors of a site with WEB_VISITORS=off, such as sign-in."""
    setattr(view, _OPEN, True)
    return view


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
        session = self._find_session()
        g.visit = Visit(
            self._site.now(), session, forms.make_token(self._site.given.secret, self._binding())
        )
        if request.method not in forms.SAFE_METHODS:
            self._require_own_form()
        return None if session or self._is_open() else _to_sign_in(request)

    def _find_session(self) -> Session | None:
        token = self._cookies.read_session(request)
        if not token or request.endpoint in (None, "static"):
            return None
        with self._site.database.connection() as connection:
            return find_session(connection, token)

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

    def _require_own_form(self) -> None:
        given = self._site.given
        origin_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if not forms.comes_from_here(origin_site, origin, given.addresses.pages):
            abort(403, "This form was not sent from a page of this site.")
        cookie = self._cookies.read_session(request) or self._cookies.read_form(request)
        if not forms.has_token(request.form.get(forms.FIELD, ""), given.secret, cookie):
            abort(403, "This form is out of date. Go back, load the page anew, and send it again.")
