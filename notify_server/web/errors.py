"""What the routes share: the services behind them, and errors as JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import psycopg
from flask import Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

import sql
from notify_server.errors import TooBusy, Unstorable
from notify_server.events.validation import Invalid
from notify_server.metrics import Metrics
from notify_server.publish.publisher import Publisher
from notify_server.store.connections import Database

log = logging.getLogger(__name__)

EXTENSION = "notify_server"


class Services(NamedTuple):
    """What the routes work with.

    Attributes:
        api_key: None where requests need none.
        is_udp_usable: whether datagrams are being sent and read.
    """

    database: Database
    publisher: Publisher
    metrics: Metrics
    api_key: str | None
    is_udp_usable: Callable[[], bool]


def services() -> Services:
    """Those of the running application."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def failure(status: int, message: str) -> Response:
    answer = jsonify(error=message)
    answer.status_code = status
    if status in (429, 503):
        answer.headers["Retry-After"] = "1"
    return answer


# The first class that fits decides; texts of other errors may tell too much.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (Invalid, 400),
    (Unstorable, 400),
    (TooBusy, 429),
    (sql.SqlError, 503),
    (psycopg.OperationalError, 503),
)


def status_of(exc: Exception) -> int | None:
    """The status that an error means, None for a fault of our own."""
    return next((status for kind, status in _STATUS if isinstance(exc, kind)), None)


def answer_error(exc: Exception) -> Response:
    """Turns any exception of a route into JSON."""
    if isinstance(exc, HTTPException):
        return _answer_http(exc)
    status = status_of(exc)
    if status is None:
        log.exception("A request has failed path=%s", request.path)
        return failure(500, "internal error, see the server's log")
    if status == 503:
        log.warning("A request was refused path=%s reason=%s", request.path, exc)
        trouble = "takes no writes" if isinstance(exc, sql.DatabaseUnwritable) else "is away"
        return failure(503, f"the database {trouble}: nothing was accepted, send again")
    return failure(status, str(exc))


def _answer_http(exc: HTTPException) -> Response:
    messages = {404: "unknown route", 405: "this route does not take this method"}
    status = exc.code or 500
    answer = failure(status, messages.get(status) or exc.name.lower())
    allowed = getattr(exc, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer
