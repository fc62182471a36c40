"""The routes of docs/protocol.md."""

from __future__ import annotations

import re
import uuid
from time import monotonic

from flask import Blueprint, Response, abort, jsonify, request

from notify_server.events import validation
from notify_server.events.fields import MAX_BIGINT, Invalid
from notify_server.events.kinds import KINDS
from notify_server.store import marks, notifications
from notify_server.web.batch import publish_all, result_of
from notify_server.web.errors import failure
from notify_server.web.openapi import DEFAULT_LIMIT, DESCRIPTION, MAX_LIMIT
from notify_server.web.services import services
from notify_server.wire.protocol import user_bytes
from readers.datagram import timestamp

MAX_BODY = 64 * 1024
MAX_BATCH_BODY = 1024 * 1024

routes = Blueprint("routes", __name__)

# --- events ----------------------------------------------------------------------------------


def notify(kind: str) -> Response:
    received = monotonic()
    event = validation.parse_event(kind, _json_body(MAX_BODY), str(uuid.uuid4()))
    result = result_of(event, services().publisher.publish(event, received))
    if result["status"] != 202:
        return failure(result["status"], result["error"])
    return _answer(202, result)


for _kind in KINDS:
    _rule = f"/notify/{_kind}"
    routes.add_url_rule(_rule, view_func=notify, defaults={"kind": _kind}, methods=["POST"])


@routes.post("/notify/batch")
def notify_batch() -> Response:
    started = monotonic()
    elements = validation.parse_events(_json_body(MAX_BATCH_BODY))
    results = publish_all(elements, services().publisher, started)
    all_accepted = all(result["status"] == 202 for result in results)
    return _answer(202 if all_accepted else 207, {"results": results})


def _json_body(limit: int) -> object:
    if request.mimetype != "application/json":
        abort(415, "Content-Type must be application/json")
    if (request.content_length or 0) > limit:
        abort(413, f"the body must have at most {limit} bytes")
    return validation.parse_json(request.get_data(cache=False))


def _answer(status: int, body: object) -> Response:
    answer = jsonify(body)
    answer.status_code = status
    return answer


# --- notifications ---------------------------------------------------------------------------


@routes.get("/api/notifications")
def list_notifications() -> Response:
    user_text = request.args.get("user_id", "")
    if user_bytes(user_text) is None:
        raise Invalid("user_id: must be a UUID")
    user_id, only_unread = uuid.UUID(user_text), _switch("unread")
    limit = _whole_number("limit", MAX_LIMIT) or DEFAULT_LIMIT
    before = _whole_number("before", MAX_BIGINT)
    with services().database.connection() as connection:
        found = notifications.list_notifications(connection, user_id, only_unread, before, limit)
    for row in found:
        for column in ("created_at", "delivered_at"):
            row[column] = timestamp(row[column]) if row[column] else None
    next_before = found[-1]["id"] if len(found) == limit else None
    return jsonify(notifications=found, next_before=next_before)


def _whole_number(name: str, most: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    number = _number(text)
    if number is not None and 1 <= number <= most:
        return number
    raise Invalid(f"{name}: must be a whole number from 1 to {most}")


def _number(text: str) -> int | None:
    """Return the number of ASCII digits; `int` takes those of all scripts."""
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else None


def _switch(name: str) -> bool:
    text = request.args.get(name, "0").lower()
    if text in ("1", "true", "0", "false"):
        return text in ("1", "true")
    raise Invalid(f"{name}: must be 1 or 0")


@routes.put("/api/notifications/<id>/read")
def mark_notification_read(id: str) -> Response:
    number = _number(id)
    if number is not None and number <= MAX_BIGINT:
        with services().database.connection() as connection:
            if marks.mark_read(connection, [number]):
                return Response(status=204)
    abort(404, f"there is no notification {id:.40}")


# --- operation -------------------------------------------------------------------------------


@routes.get("/healthz")
def health() -> Response:
    return jsonify(status="alive")


@routes.get("/readyz")
def readiness() -> Response:
    if not services().is_udp_usable():
        abort(503, "the UDP side does not work")
    database = services().database
    # What it raises closes the connection: the next one may be writable.
    with database.connection() as connection:
        notifications.require_writable(connection, database.is_unwritable)
    database.note_written()
    return jsonify(status="ready")


@routes.get("/metrics")
def metrics() -> Response:
    body, content_type = services().metrics.render()
    return Response(body, content_type=content_type)


@routes.get("/openapi.json")
def openapi() -> Response:
    return jsonify(DESCRIPTION)
