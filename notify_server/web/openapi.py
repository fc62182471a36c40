"""The OpenAPI description of the HTTP side, served at /openapi.json."""

from __future__ import annotations

from typing import Any

from mangahub import __version__
from notify_server.events.validation import MAX_BIGINT, MAX_EVENT_ID, MAX_EVENTS

Schema = dict[str, Any]

# Half surrogate pairs, which JSON can write, cannot be stored either, but no pattern can say so.
_TEXT: Schema = {"type": "string", "minLength": 1, "pattern": "^[^\\u0000]*$"}
_NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": 99999999.99, "multipleOf": 0.01}
_MAYBE_NUMBER: Schema = {**_NUMBER, "type": ["number", "null"]}
_MANGA_ID: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_BIGINT}

_COMMON: Schema = {
    "event_id": {**_TEXT, "type": ["string", "null"], "maxLength": MAX_EVENT_ID},
    "manga_id": _MANGA_ID,
    "title": _TEXT,
}
_DETAIL: Schema = {
    "type": "object",
    "required": ["field"],
    "properties": {"field": _TEXT, "old_value": {}, "new_value": {}},
}
_EVENTS: dict[str, Schema] = {
    "new-manga": {
        "type": "object",
        "required": ["manga_id", "title"],
        "properties": _COMMON,
    },
    "new-chapter": {
        "type": "object",
        "required": ["manga_id", "title", "chapter"],
        "properties": {
            **_COMMON,
            "chapter": _MAYBE_NUMBER,
            "old_chapter": _MAYBE_NUMBER,
            "chapters": {
                "type": ["array", "null"],
                "minItems": 1,
                "items": _NUMBER,
                "description": "all of them where there are several; chapter is the highest",
            },
        },
    },
    "manga-update": {
        "type": "object",
        "required": ["manga_id", "title", "changes"],
        "properties": {
            **_COMMON,
            "changes": {"type": "array", "minItems": 1, "items": _TEXT},
            "detailed_changes": {"type": ["array", "null"], "items": _DETAIL},
        },
    },
}
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
_RESULT: Schema = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"type": "integer"},
        "event_id": {"type": "string"},
        "outcome": {"enum": ["stored", "repeated"]},
        "recipients": {"type": "integer"},
        "error": {"type": "string"},
    },
}
_RESULTS: Schema = {
    "type": "object",
    "required": ["results"],
    "properties": {"results": {"type": "array", "items": _RESULT}},
}
_NOTIFICATION: Schema = {
    "type": "object",
    "required": ["id", "type", "message", "read", "created_at", "data", "changes"],
    "properties": {
        "id": {"type": "integer"},
        "type": {"type": ["string", "null"]},
        "manga_id": {"type": ["integer", "null"]},
        "title": {"type": ["string", "null"]},
        "message": {"type": "string"},
        "read": {"type": "boolean"},
        "created_at": {"type": ["string", "null"], "format": "date-time"},
        "delivered_at": {"type": ["string", "null"], "format": "date-time"},
        "event_id": {"type": ["string", "null"]},
        "data": {"type": "object"},
        "changes": {"type": "array"},
    },
}
_PAGE: Schema = {
    "type": "object",
    "required": ["notifications", "next_before"],
    "properties": {
        "notifications": {"type": "array", "items": _NOTIFICATION},
        "next_before": {"type": ["integer", "null"], "description": "null on the last page"},
    },
}
_STATUS: Schema = {"type": "object", "properties": {"status": {"type": "string"}}}


def _response(description: str, schema: Schema | None) -> Schema:
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_DESCRIPTIONS = {
    400: "What is wrong with which field",
    401: "The API key is missing or wrong",
    404: "Unknown route, manga_id or notification; nothing was stored",
    413: "The body is too large",
    415: "The body is not application/json",
    429: "Too much waits to be sent: try again",
    503: "The database is away or takes no writes: nothing was accepted, send again",
}


def _failures(*statuses: int) -> Schema:
    return {str(s): _response(_DESCRIPTIONS[s], _ERROR) for s in statuses}


def _post(summary: str, schema: Schema, responses: Schema) -> Schema:
    return {
        "post": {
            "summary": summary,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schema}},
            },
            "responses": {**responses, **_failures(400, 401, 404, 413, 415, 429, 503)},
        }
    }


def _event_path(kind: str, summary: str) -> Schema:
    return _post(summary, _EVENTS[kind], {"202": _response("Stored", _RESULT)})


def _get(summary: str, responses: Schema, parameters: list[Schema] | None = None) -> Schema:
    operation: Schema = {"summary": summary, "responses": {**responses, **_failures(401)}}
    return {"get": {**operation, "parameters": parameters or []}}


def _query(name: str, schema: Schema, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


_TYPED = [
    {
        **schema,
        "required": ["type", *schema["required"]],
        "properties": {**schema["properties"], "type": {"const": kind}},
    }
    for kind, schema in _EVENTS.items()
]
_BATCH: Schema = {
    "type": "object",
    "required": ["events"],
    "properties": {
        # Each element is judged by itself, so a wrong one does not make the request wrong.
        "events": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_EVENTS,
            "items": {"anyOf": [*_TYPED, {}]},
        }
    },
}
_LIST_PARAMETERS = [
    _query("user_id", {"type": "string", "format": "uuid"}, required=True),
    _query("unread", {"type": "integer", "enum": [0, 1]}),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
    _query("before", {"type": "integer", "minimum": 1, "maximum": MAX_BIGINT}),
]
_ID_PARAMETER = {"name": "id", "in": "path", "required": True, "schema": _MANGA_ID}

DESCRIPTION: Schema = {
    "openapi": "3.1.0",
    "info": {"title": "MangaHub notification server", "version": __version__},
    "paths": {
        "/notify/new-manga": _event_path("new-manga", "Tell every user of a new title"),
        "/notify/new-chapter": _event_path("new-chapter", "Tell the title's readers of chapters"),
        "/notify/manga-update": _event_path("manga-update", "Tell the title's readers of changes"),
        "/notify/batch": _post(
            "Several events, each in a transaction of its own",
            _BATCH,
            {"202": _response("All stored", _RESULTS), "207": _response("A status each", _RESULTS)},
        ),
        "/api/notifications": _get(
            "A user's notifications, newest first",
            {"200": _response("A page", _PAGE), **_failures(400, 503)},
            _LIST_PARAMETERS,
        ),
        "/api/notifications/{id}/read": {
            "put": {
                "summary": "Mark a notification as read",
                "parameters": [_ID_PARAMETER],
                "responses": {"204": _response("Marked", None), **_failures(401, 404, 503)},
            }
        },
        "/healthz": {
            "get": {
                "summary": "Alive",
                "security": [],
                "responses": {"200": _response("Alive", _STATUS)},
            }
        },
        "/readyz": _get(
            "The database takes writes, the socket works",
            {"200": _response("Ready", _STATUS), **_failures(503)},
        ),
        "/metrics": _get(
            "Prometheus metrics",
            {
                "200": {
                    "description": "Text format",
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                }
            },
        ),
        "/openapi.json": _get("This description", {"200": _response("OpenAPI", {})}),
    },
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "security": [{"key": []}, {}],
}
