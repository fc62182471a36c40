"""Errors as answers: the status of each exception, and its JSON."""

from __future__ import annotations

import logging

import psycopg
from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException

import sql
from notify_server.errors import TooBusy, Unstorable
from notify_server.events.fields import Invalid

log = logging.getLogger(__name__)

INTERNAL = "internal error, see the server's log"
_HTTP_MESSAGES = {404: "unknown route", 405: "this route does not allow this method"}
# The first class that matches decides; other errors are bugs of this program.
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (Invalid, 400),
    (Unstorable, 400),
    (TooBusy, 429),
    (sql.SqlError, 503),
    (psycopg.OperationalError, 503),
)


def status_of(exc: Exception) -> int | None:
    """Return the status that an error means, None for a bug of this program."""
    return next((status for kind, status in _STATUSES if isinstance(exc, kind)), None)


def failure(status: int, message: str) -> Response:
    answer = jsonify(error=message)
    answer.status_code = status
    if status in (429, 503):
        answer.headers["Retry-After"] = "1"
    return answer


def answer_error(exc: Exception) -> Response:
    """Return the answer to a request whose route raised `exc`."""
    if isinstance(exc, HTTPException):
        return _answer_http(exc)
    status = status_of(exc)
    if status is None:
        log.exception("Unexpected error path=%s", request.path)
        return failure(500, INTERNAL)
    if status == 503:
        log.warning("Request rejected path=%s reason=%s", request.path, exc)
        state = "accepts no writes" if isinstance(exc, sql.DatabaseUnwritable) else "is unavailable"
        return failure(503, f"the database {state}: nothing was accepted, send again")
    return failure(status, str(exc))


def _answer_http(exc: HTTPException) -> Response:
    status = exc.code or 500
    given = vars(exc).get("description")  # what `abort` was given; else the class has one in HTML
    answer = failure(status, given or _HTTP_MESSAGES.get(status) or exc.name.lower())
    if allowed := getattr(exc, "valid_methods", None):
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer
