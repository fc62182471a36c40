"""Why a message was not accepted, in plain words without credentials."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

_TOO_MANY = 429
# What stands in an answer's JSON where a server asks to wait → seconds in one of it: Discord,
# Telegram, Matrix.
_WAITS = (
    (("retry_after",), 1.0),
    (("parameters", "retry_after"), 1.0),
    (("retry_after_ms",), 1e-3),
)
_MAIL = {
    "530": "wants a name and a password",
    "535": "does not accept the name and password",
    "550": "does not accept the sender or recipient",
    "553": "does not accept the sender or recipient",
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a delivery went.

    Attributes:
        error: why the message was not accepted, in plain words without credentials; None if it was.
        retry_after_s: how long the server asks to wait.
    """

    error: str | None = None
    retry_after_s: float | None = None


class Unsendable(Exception):
    """The message cannot even be tried; the text says why, without credentials."""


class NotAllowed(OSError):
    """The process may not do that."""


class TooMuch(OSError):
    """The server answers more than is read."""


class AskedToWait(requests.RequestException):
    """The server asks to wait; raised so that no library waits by itself."""


class Seen:
    """What was seen of one delivery."""

    def __init__(self, server: str = "") -> None:
        self._server = server or "the server"
        self._reason: str | None = None
        self._retry_after_s: float | None = None

    def receipt(self) -> Receipt:
        """Return why the message was not accepted, as far as that was seen."""
        reason = self._reason or f"{self._server} did not accept the message"
        return Receipt(reason, self._retry_after_s)

    def note_answer(self, response: requests.Response) -> None:
        """Note an answer over HTTP.

        Raises:
            AskedToWait: it asks to.
        """
        status = response.status_code
        if status < 300:
            return
        self._retry_after_s = _asked_wait_s(response)
        self._reason = f"{self._server} {_said(status)} (HTTP {status})"
        if status == _TOO_MANY:
            raise AskedToWait("the server asks to wait")

    def note_error(self, error: BaseException) -> None:
        """Note that there was no answer."""
        if not isinstance(error, AskedToWait):
            self._reason = _described(error, self._server)

    def note_mail_reply(self, code: int) -> None:
        if code >= 400:
            said = _MAIL.get(str(code), "refuses the message" if code >= 500 else "asks to wait")
            self._reason = f"{self._server} {said} (SMTP {code})"


def _said(status: int) -> str:
    if status < 400:
        return "redirects elsewhere, which is not followed"
    if status in (401, 403):
        return "does not accept the credentials"
    if status in (404, 410):
        return "does not know this address"
    if status == _TOO_MANY:
        return "asks to wait"
    return "fails" if status >= 500 else "refuses the message"


def _described(error: BaseException, server: str) -> str:
    for each in _chain(error):
        if isinstance(each, NotAllowed):
            return f"{server} {each}"
        if isinstance(each, TooMuch):
            return f"{server} answers too much"
        if isinstance(each, socket.gaierror):
            return f"the name of {server} is unknown"
        if isinstance(each, ssl.SSLError):
            return f"{server} has no valid certificate, or does not speak TLS"
        if isinstance(each, ConnectionRefusedError):
            return f"nothing listens at {server}"
        if isinstance(each, TimeoutError | requests.Timeout):
            return f"{server} does not answer"
    return f"the connection to {server} failed"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what it came from: libraries wrap one into another."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in seen:
            seen.append(each)
            yield each
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def _asked_wait_s(response: requests.Response) -> float | None:
    header = _seconds(response.headers.get("Retry-After", ""), response.headers.get("Date"))
    return _wait_in_body(response) if header is None else header


def _seconds(text: str, now: str | None) -> float | None:
    """Read seconds or a date; the date by the server's own clock."""
    try:
        return _positive(float(text))
    except ValueError:
        pass
    try:
        base = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return max(0.0, (parsedate_to_datetime(text) - base).total_seconds())
    except (TypeError, ValueError):
        return None


def _wait_in_body(response: requests.Response) -> float | None:
    try:
        body: Any = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    for path, unit_s in _WAITS:
        value = body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _positive(value * unit_s)
    return None


def _positive(value: float) -> float | None:
    return value if 0 <= value < 1e9 else None
