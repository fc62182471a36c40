"""The OpenAPI description of the HTTP side, served at /openapi.json."""

from __future__ import annotations

from mangahub import __version__
from notify_server.events.fields import ROW_ID, Schema
from notify_server.events.kinds import KINDS, Kind
from notify_server.events.validation import MAX_EVENTS

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

# --- values ----------------------------------------------------------------------------------


def _object(required: str = "", **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _or_null(kind: str, **more: object) -> Schema:
    return {"type": [kind, "null"], **more}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_ERROR = _object("error", error=_TEXT)
_STATUS = _object(status=_TEXT)
_RESULT = _object(
    "status",
    status=_NUMBER,
    event_id=_TEXT,
    outcome={"enum": ["stored", "repeated"]},
    recipients=_NUMBER,
    error=_TEXT,
)
_RESULTS = _object("results", results={"type": "array", "items": _RESULT})
_NOTIFICATION = _object(
    "id type message read created_at data changes",
    id=_NUMBER,
    type=_or_null("string"),
    manga_id=_or_null("integer"),
    title=_or_null("string"),
    message=_TEXT,
    read={"type": "boolean"},
    created_at=_or_null("string", format="date-time"),
    delivered_at=_or_null("string", format="date-time"),
    event_id=_or_null("string"),
    data={"type": "object"},
    changes={"type": "array"},
)
_PAGE = _object(
    "notifications next_before",
    notifications={"type": "array", "items": _NOTIFICATION},
    next_before=_or_null("integer", description="null on the last page"),
)


def _typed(kind: Kind) -> Schema:
    """Return the schema of such an event in a batch."""
    body = kind.body.schema
    properties = {**body["properties"], "type": {"const": kind.name}}
    return {**body, "required": ["type", *body["required"]], "properties": properties}


# Each element is checked separately: an invalid one does not make the request invalid.
_ELEMENT = {"anyOf": [*map(_typed, KINDS.values()), {}]}
_ELEMENTS = {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": _ELEMENT}
_BATCH = _object("events", events=_ELEMENTS)

_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}

# --- operations ------------------------------------------------------------------------------

_AUDIENCES = {
    "users": "every user who wants to hear of it",
    "readers": "users with the title in their library who want to hear of it",
}
_FAILURES = {
    400: "What is wrong with which field",
    401: "The API key is missing or wrong",
    404: "Unknown route, manga_id or notification; nothing was stored",
    413: "The body is too large",
    415: "The body is not application/json",
    429: "Too many notifications are waiting: try again",
    503: "The database is unavailable or accepts no writes: nothing was accepted, send again",
}


def _response(description: str, schema: Schema, media_type: str = "application/json") -> Schema:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _operation(summary: str, responses: Schema, *failures: int, **more: object) -> Schema:
    failed = {str(status): _response(_FAILURES[status], _ERROR) for status in failures}
    return {"summary": summary, "responses": {**responses, **failed}, **more}


def _post(summary: str, schema: Schema, responses: Schema) -> Schema:
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    failures = (400, 401, 404, 413, 415, 429, 503)
    return {"post": _operation(summary, responses, *failures, requestBody=body)}


def _get(summary: str, schema: Schema, *failures: int, **more: object) -> Schema:
    return {"get": _operation(summary, {"200": _response(summary, schema)}, *failures, **more)}


def _parameter(name: str, place: str, schema: Schema, required: bool = False) -> Schema:
    return {"name": name, "in": place, "required": required, "schema": schema}


_LIST_PARAMETERS = [
    _parameter("user_id", "query", {"type": "string", "format": "uuid"}, required=True),
    _parameter("unread", "query", {"type": "integer", "enum": [0, 1]}),
    _parameter("limit", "query", {**_LIMIT, "default": DEFAULT_LIMIT}),
    _parameter("before", "query", ROW_ID.schema),
]
_MARK = _operation(
    "Mark a notification as read",
    {"204": {"description": "Marked"}},
    *(401, 404, 503),
    parameters=[_parameter("id", "path", ROW_ID.schema, required=True)],
)
_METRICS = _operation("Metrics", {"200": _response("Prometheus text", _TEXT, "text/plain")}, 401)

DESCRIPTION: Schema = {
    "openapi": "3.1.0",
    "info": {"title": "MangaHub notification server", "version": __version__},
    "paths": {
        **{
            f"/notify/{kind.name}": _post(
                f"{kind.summary}, for {_AUDIENCES[kind.audience]}",
                kind.body.schema,
                {"202": _response("Stored", _RESULT)},
            )
            for kind in KINDS.values()
        },
        "/notify/batch": _post(
            "Several events, each in a transaction of its own",
            _BATCH,
            {"202": _response("All stored", _RESULTS), "207": _response("A status each", _RESULTS)},
        ),
        "/api/notifications": _get(
            "A user's notifications, newest first",
            _PAGE,
            *(400, 401, 503),
            parameters=_LIST_PARAMETERS,
        ),
        "/api/notifications/{id}/read": {"put": _MARK},
        "/healthz": _get("Alive", _STATUS, security=[]),
        "/readyz": _get("The database takes writes, the socket works", _STATUS, 401, 503),
        "/metrics": {"get": _METRICS},
        "/openapi.json": _get("This description", {}, 401),
    },
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "security": [{"key": []}, {}],
}
