"""Replies without the catalogue: errors of the API, of the servers in front of it, and bans.

The bodies follow what public threads and client code show; where none was ever recorded (429 and
ban), the shape is a guess that no client may rely on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from mangadex_sim.catalogue.models import Json, SimulatedError
from mangadex_sim.server.wire import Manner, Reply

HTML = "text/html; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"

_ERROR_ID = "b3f2d1a0-5c4e-4b6a-9d8f-7e6a5b4c3d2e"


def json_reply(document: object, status: int = 200) -> Reply:
    """Return JSON, unescaped and without blanks."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        return Reply(status, text.encode())
    except UnicodeEncodeError:  # half a surrogate pair, by order: only an escape can carry it
        return Reply(status, json.dumps(document, separators=(",", ":")).encode())


def error_reply(error: SimulatedError) -> Reply:
    """Return a SimulatedError in the API's envelope."""
    entry: Json = {
        "id": _ERROR_ID,
        "status": error.status,
        "title": error.title,
        "detail": error.detail,
        "context": None,
    }
    return json_reply({"result": "error", "errors": [entry]}, error.status)


def html_page(status: int, heading: str, sentence: str) -> Reply:
    """Return a small page as edge servers write them."""
    page = (
        f"<html><head><title>{heading}</title></head><body><center><h1>{heading}</h1></center>"
        f"<p>{sentence}</p><hr><center>nginx</center></body></html>\r\n"
    )
    return Reply(status, page.encode(), HTML)


def too_many(kind: str, wait_s: float, now: float) -> Reply:
    """Return a 429; `kind` says which header says how long to wait: see RETRY_HEADERS."""
    if kind in ("epoch", "epoch_past"):
        error = SimulatedError(429, "too_many_requests_http_exception", "Too many requests")
        epoch = math.ceil(now + wait_s) if kind == "epoch" else int(now) - 5
        headers = {
            "X-RateLimit-Limit": "5",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Retry-After": str(epoch),
        }
        return Reply(429, error_reply(error).body, headers=headers)
    page = html_page(429, "429 Too Many Requests", "Slow down.")
    headers = {"Retry-After": str(max(1, math.ceil(wait_s)))} if kind == "seconds" else {}
    return Reply(429, page.body, HTML, headers)


def banned() -> Reply:
    """Return the guard's 403: not JSON."""
    return html_page(403, "403 Forbidden", "You have been temporarily blocked.")


def bad_agent() -> Reply:
    """Return the recorded 400 for a missing or unacceptable User-Agent."""
    body = b"You must set an appropriate User-Agent header"
    return Reply(400, body, PLAIN, {"Cache-Control": "no-store"})


def forbidden_via() -> Reply:
    """Return a 400 for a request that came through a non-transparent proxy."""
    return Reply(400, b"Via header is not allowed", PLAIN, {"Cache-Control": "no-store"})


def uri_too_long() -> Reply:
    """Return nginx's 414."""
    return html_page(414, "414 Request-URI Too Large", "")


def method_not_allowed(method: str) -> Reply:
    """Return a 405: this stand-in only reads."""
    detail = f'No route found for "{method}": Method Not Allowed (Allow: GET)'
    return error_reply(SimulatedError(405, "method_not_allowed_http_exception", detail))


# Named failures whose reply does not depend on the request.
CANNED: dict[str, Callable[[float, float], Reply]] = {
    "429_epoch": lambda wait_s, now: too_many("epoch", wait_s, now),
    "429_epoch_past": lambda wait_s, now: too_many("epoch_past", wait_s, now),
    "429_retry_after": lambda wait_s, now: too_many("seconds", wait_s, now),
    "429_bare": lambda wait_s, now: too_many("none", wait_s, now),
    "403_json": lambda _, __: error_reply(
        SimulatedError(403, "access_denied_http_exception", "You may not do this")
    ),
    "403_html_ban": lambda _, __: banned(),
    "404_json": lambda _, __: error_reply(
        SimulatedError(404, "not_found_http_exception", "Not found")
    ),
    "400_json": lambda _, __: error_reply(SimulatedError(400, "validation_exception", "Not valid")),
    "400_html_overload": lambda _, __: html_page(
        400, "400 Bad Request", "Your browser sent an invalid request."
    ),
    "400_agent": lambda _, __: bad_agent(),
    "500": lambda _, __: error_reply(
        SimulatedError(500, "internal_server_error_http_exception", "Something went wrong")
    ),
    "502_html": lambda _, __: html_page(502, "502 Bad Gateway", ""),
    "503": lambda _, __: html_page(503, "503 Service Temporarily Unavailable", ""),
    "504_html": lambda _, __: html_page(504, "504 Gateway Time-out", ""),
    "302": lambda _, __: Reply(302, headers={"Location": "/maintenance"}),
    "204": lambda _, __: Reply(204),
    "html_200": lambda _, __: html_page(200, "We will be right back", "Maintenance."),
    "empty_body": lambda _, __: Reply(200),
    "empty_array": lambda _, __: Reply(200, b"[]"),
    "not_json": lambda _, __: Reply(200, b'{"result":"ok","data":[{"id":'),
}

# Named failures that send the real reply, or none, in a wrong manner.
MANNERS: dict[str, Manner] = {
    "cut": Manner.CUT,
    "close": Manner.CLOSE,
    "reset": Manner.RESET,
    "hang": Manner.HANG,
    "huge": Manner.ENDLESS,
    "drip": Manner.DRIP,
}
