"""What an HTTP answer of the source means: pure, decided by status and content type.

Bodies of errors are never parsed: under load, and from proxies, they are HTML or plain text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from batch.errors import Banned, RateLimited, RequestRefused, TransientError
from batch.models import JsonObject, Page
from mangahub.retry_after import retry_after

_OVERLOAD = b"Your browser sent an invalid request"
_MOST_SHOWN = 200
_MAX_TOTAL = 2**31 - 1  # what the column holds; the whole site has some 90,000 titles


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer, its body read.

    Attributes:
        asked: the request, for messages: `GET /manga?limit=100`.
    """

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_json(self) -> bool:
        return "json" in self.headers.get("Content-Type", "").lower()


def body_of(answer: Response) -> JsonObject | None:
    """Return the JSON object of a good answer, None for 204 (an empty list).

    Raises:
        RequestRefused, RateLimited, Banned, TransientError: by status and content type.
    """
    if answer.status == 204:
        return None
    if answer.status != 200:
        raise _fault(answer)
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise TransientError(f"{_said(answer)}, which is not JSON: {_excerpt(answer)}") from None
    if not isinstance(body, dict):
        raise TransientError(f"{_said(answer)}, which is not a JSON object: {_excerpt(answer)}")
    return body


def page_of(body: JsonObject | None, offset: int) -> Page:
    """Read a list answer.

    Raises:
        TransientError: the envelope is not that of a list.
    """
    if body is None:
        return Page([], offset, offset)
    _require_ok(body)
    data, total = body.get("data"), body.get("total")
    if not (isinstance(data, list) and _is_total(total)):
        raise TransientError(f"the answer is not a list with a total; it has {_keys(body)}")
    return Page([e if isinstance(e, dict) else {} for e in data], cast(int, total), offset)


def entity_of(body: JsonObject | None) -> JsonObject:
    """Read the answer that holds one entity.

    Raises:
        TransientError: it holds none.
    """
    _require_ok(body or {})
    data = (body or {}).get("data")
    if not isinstance(data, dict):
        raise TransientError(f"the answer has no entity; it has {_keys(body or {})}")
    return data


def _require_ok(body: JsonObject) -> None:
    """Raise for an error that comes with the status 200."""
    if body.get("result", "ok") != "ok":
        raise TransientError(f"the answer's result is {_shown(str(body['result']))}, not ok")


def _is_total(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOTAL


def _keys(body: JsonObject) -> str:
    return _shown(", ".join(sorted(body))) or "no keys"


def _fault(answer: Response) -> Exception:
    line = f"{_said(answer)}: {_excerpt(answer)}"
    if answer.status == 429 or (answer.status == 400 and _OVERLOAD in answer.body):
        return RateLimited(line, retry_after(answer.headers))
    if answer.status == 403 and not answer.is_json:
        return Banned(f"this address is banned by the source: {line}")
    if answer.status >= 500 or answer.status in (408, 425):
        return TransientError(line, retry_after(answer.headers))
    if 300 <= answer.status < 400:
        line = f"{line}; it points to {_shown(answer.headers.get('Location', '?'))}"
    return RequestRefused(line, answer.status, by_api=answer.is_json)


def _said(answer: Response) -> str:
    kind = _shown(answer.headers.get("Content-Type", "no content type"))
    request_id = _shown(answer.headers.get("X-Request-ID", ""))
    suffix = f" (request id {request_id})" if request_id else ""
    return f"{answer.asked} was answered with {answer.status}, {kind}{suffix}"


def _excerpt(answer: Response) -> str:
    """Return the beginning of the body."""
    return _shown(answer.body[:1000].decode("utf-8", "replace")) or "an empty body"


def _shown(text: str) -> str:
    """Return the beginning of a text of the source, on one line and safe to print."""
    return ascii(" ".join(text.split())[:_MOST_SHOWN])[1:-1]
