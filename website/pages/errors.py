"""Errors as pages: one clear sentence, and what to do."""

from __future__ import annotations

import logging

import psycopg
from flask import Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

import sql
from website.rules.paths import redacted

log = logging.getLogger(__name__)

_TEXTS = {
    400: ("This request cannot be understood", "Go back and try again."),
    403: ("This is not allowed", ""),
    404: ("There is no such page", "It may have been moved, or the address has a typing error."),
    405: ("This is not allowed", "The page does not take this kind of request."),
    413: ("This is too large", "Send less at once."),
    429: ("Too many tries", "Wait a minute, then try again."),
    500: ("Something went wrong here", "The operator finds the reason in the site's log."),
    503: ("The database is unavailable", "Nothing is lost. Try again in a moment."),
}


def answer_error(exc: Exception) -> Response:
    """Return the page for a request whose view raised `exc`."""
    if isinstance(exc, HTTPException):
        return _answer_http(exc)
    if isinstance(exc, sql.SqlError | psycopg.OperationalError):
        log.warning("Page not served path=%s reason=%s", redacted(request.path), exc)
        return _page(503)
    log.exception("Unexpected error path=%s", redacted(request.path))
    return _page(500)


def _answer_http(exc: HTTPException) -> Response:
    status = exc.code or 500
    if exc.response is not None or status < 400:
        return make_response(exc.get_response())
    # What `abort` was given; else the class has a text of its own, in HTML.
    answer = _page(status, vars(exc).get("description"))
    if allowed := getattr(exc, "valid_methods", None):
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _page(status: int, text: str | None = None) -> Response:
    headline, usual = _TEXTS.get(status, ("This did not work", ""))
    page = render_template("error.html", status=status, headline=headline, text=text or usual)
    answer = make_response(page, status)
    answer.headers["Cache-Control"] = "no-store"
    if status in (429, 503):
        answer.headers["Retry-After"] = "60" if status == 429 else "5"
    return answer
