"""The routes of docs/protocol.md."""

from __future__ import annotations

import logging
import re
import uuid
from time import monotonic
from typing import Any

import psycopg
from flask import Blueprint, Response, jsonify, request

import sql
from notify_server.events import validation
from notify_server.events.validation import Invalid
from notify_server.store import marks, notifications
from notify_server.store.notifications import EventOutcome, StoreResult
from notify_server.web.errors import failure, services, status_of
from notify_server.web.openapi import DESCRIPTION
from notify_server.wire.protocol import timestamp, user_bytes

log = logging.getLogger(__name__)

routes = Blueprint("routes", __name__)

MAX_BODY = 64 * 1024
MAX_BATCH_BODY = 1024 * 1024
# The sender waits 60 s, and the last statement may take 20; the rest is for the next batch.
_BATCH_TIME_S = 35.0
_DEFAULT_LIMIT = 50
_MAX_LIMIT = 200

Result = dict[str, Any]


@routes.post("/notify/new-manga", defaults={"kind": "new-manga"})
@routes.post("/notify/new-chapter", defaults={"kind": "new-chapter"})
@routes.post("/notify/manga-update", defaults={"kind": "manga-update"})
def notify(kind: str) -> Response:
    received = monotonic()
    body = _json_body(MAX_BODY)
    if isinstance(body, Response):
        return body
    event = validation.parse_event(kind, validation.parse_json(body))
    stored = services().publisher.publish(event, received)
    if stored.outcome is EventOutcome.UNKNOWN_MANGA:
        return failure(404, f"manga_id: there is no manga {event.manga_id}")
    answer = jsonify(_accepted(event.event_id, stored))
    answer.status_code = 202
    return answer


@routes.post("/notify/batch")
def notify_batch() -> Response:
    started = monotonic()
    body = _json_body(MAX_BATCH_BODY)
    if isinstance(body, Response):
        return body
    elements = validation.parse_events(validation.parse_json(body))
    results: list[Result] = []
    for element in elements:
        result = _accept_one(element, started, results)
        if isinstance(result, Response):
            return result
        results.append(result)
    answer = jsonify(results=results)
    answer.status_code = 202 if all(r["status"] == 202 for r in results) else 207
    return answer


def _accept_one(element: object, started: float, before: list[Result]) -> Result | Response:
    """One event's result; the answer to the whole batch where nothing can be accepted.

    After a failure that passes, the rest is not tried any more, so that the answer comes at once.
    """
    try:
        event = validation.parse_typed_event(element)
    except Invalid as exc:
        return {"status": 400, "error": str(exc)}
    late = [r["status"] for r in before if r["status"] in (429, 503)]
    if late or monotonic() - started > _BATCH_TIME_S:
        return _rejected(event.event_id, late[0] if late else 503, "not tried, send again")
    try:
        stored = services().publisher.publish(event)
    except Exception as exc:
        return _failed(event.event_id, exc, before)
    if stored.outcome is EventOutcome.UNKNOWN_MANGA:
        return _rejected(event.event_id, 404, f"manga_id: there is no manga {event.manga_id}")
    return _accepted(event.event_id, stored)


def _failed(event_id: str, exc: Exception, before: list[Result]) -> Result:
    """The result of an event that was not stored; raises where it is the whole batch's answer.

    What nobody foresaw, as a statement that took too long, is about this event until it is known
    better: others must not wait for it.
    """
    status = None if isinstance(exc, psycopg.Error) else status_of(exc)
    if status is None:
        log.error("An event could not be stored event_id=%s", event_id, exc_info=exc)
        return _rejected(event_id, 500, "internal error, see the server's log")
    if status in (429, 503) and not any(r["status"] == 202 for r in before):
        raise exc
    return _rejected(event_id, status, str(exc))


def _rejected(event_id: str, status: int, message: str) -> Result:
    return {"status": status, "event_id": event_id, "error": message}


def _accepted(event_id: str, stored: StoreResult) -> Result:
    return {
        "status": 202,
        "event_id": event_id,
        "outcome": stored.outcome.value,
        "recipients": len(stored.recipients),
    }


def _json_body(limit: int) -> bytes | Response:
    if request.mimetype != "application/json":
        return failure(415, "Content-Type must be application/json")
    if (request.content_length or 0) > limit:
        return failure(413, f"the body must have at most {limit} bytes")
    return request.get_data(cache=False)


# --- reading ---------------------------------------------------------------------------------


@routes.get("/api/notifications")
def list_notifications() -> Response:
    user_text = request.args.get("user_id", "")
    if user_bytes(user_text) is None:
        raise Invalid("user_id: must be a UUID")
    limit = _whole_number("limit", _DEFAULT_LIMIT, _MAX_LIMIT)
    before = _whole_number("before", None, validation.MAX_BIGINT)
    only_unread = _switch("unread")
    with services().database.connection() as connection:
        found = notifications.list_notifications(
            connection, uuid.UUID(user_text), only_unread, before, limit or _DEFAULT_LIMIT
        )
    for row in found:
        row["created_at"] = timestamp(row["created_at"]) if row["created_at"] else None
        row["delivered_at"] = timestamp(row["delivered_at"]) if row["delivered_at"] else None
    is_full = len(found) == limit
    return jsonify(notifications=found, next_before=found[-1]["id"] if is_full else None)


def _whole_number(name: str, default: int | None, most: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return default
    number = _number(text)
    if number is not None and 1 <= number <= most:
        return number
    raise Invalid(f"{name}: must be a whole number from 1 to {most}")


def _number(text: str) -> int | None:
    """Only of ASCII digits: Python takes those of all scripts."""
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else None


def _switch(name: str) -> bool:
    text = request.args.get(name, "0").lower()
    if text in ("1", "true", "0", "false"):
        return text in ("1", "true")
    raise Invalid(f"{name}: must be 1 or 0")


@routes.put("/api/notifications/<id>/read")
def mark_notification_read(id: str) -> Response:
    number = _number(id)
    if number is not None and number <= validation.MAX_BIGINT:
        with services().database.connection() as connection:
            if marks.mark_read(connection, [number]):
                return Response(status=204)
    return failure(404, f"there is no notification {id:.40}")


# --- operation -------------------------------------------------------------------------------


@routes.get("/healthz")
def health() -> Response:
    return jsonify(status="alive")


@routes.get("/readyz")
def readiness() -> Response:
    if not services().is_udp_usable():
        return failure(503, "the UDP side does not work")
    with services().database.connection() as connection:
        if notifications.is_read_only(connection):
            # Raised here, so that the connection is not used again: the next may be writable.
            raise sql.DatabaseUnwritable("the database is read only")
    return jsonify(status="ready")


@routes.get("/metrics")
def metrics() -> Response:
    body, content_type = services().metrics.render()
    return Response(body, content_type=content_type)


@routes.get("/openapi.json")
def openapi() -> Response:
    return jsonify(DESCRIPTION)
