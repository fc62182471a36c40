"""The site's cookies: a session's, and one that binds a visitor's sign-in form to his browser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask import Request, Response

from readers.sessions import LONGEST_DAYS
from website.config import Addresses


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and sets them; on https by names that a browser takes from this very host alone."""

    addresses: Addresses

    def read_session(self, request: Request) -> str:
        return request.cookies.get(self._name("session"), "")

    def set_session(self, response: Response, token: str) -> None:
        self._set(response, "session", token, timedelta(days=LONGEST_DAYS))

    def end_session(self, response: Response) -> None:
        self._set(response, "session", "", timedelta(0))

    def read_form(self, request: Request) -> str:
        return request.cookies.get(self._name("form"), "")

    def set_form(self, response: Response, token: str) -> None:
        self._set(response, "form", token, None)

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.addresses.is_https else f"mangahub_{name}"

    def _set(self, response: Response, name: str, value: str, age: timedelta | None) -> None:
        response.set_cookie(
            self._name(name),
            value,
            max_age=age,
            path="/",
            secure=self.addresses.is_https,
            httponly=True,
            samesite="Lax",
        )
