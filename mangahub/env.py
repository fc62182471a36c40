"""Reads settings from the environment, and refuses a bad value in one line.

The line says what is allowed. A variable that is set to the empty string counts as not set, as in
systemd's env files.
"""

from __future__ import annotations

import os
import pwd
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_LANGUAGE = re.compile(r"[a-z]{2}(-[a-z]{2})?")  # as the API's chapters write them


class SettingError(Exception):
    """A variable holds a value that is not allowed; its text is the one line for the operator."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name}={_shown(value)} is not allowed: it must be {allowed}")
        self.name = name


def _shown(value: str) -> str:
    """The value on one line, cut where it is long, safe to print on a terminal."""
    return ascii(value if len(value) <= 80 else value[:77] + "...")


class Env:
    """Typed access to one mapping of environment variables."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def raw(self, name: str) -> str | None:
        """The value without surrounding blanks, or None where it is not set or empty."""
        return self._environ.get(name, "").strip() or None

    def is_blank(self, name: str) -> bool:
        """Whether it is set, but to blanks only."""
        return self.raw(name) is None and bool(self._environ.get(name))

    def text(self, name: str, default: str) -> str:
        return self.raw(name) or default

    def secret(self, name: str, minimum: int = 1) -> str | None:
        """A printable ASCII secret of at least `minimum` characters; an error never shows it."""
        value = self.raw(name)
        if value is None:
            return None
        if len(value) < minimum or not (value.isascii() and value.isprintable()):
            raise SettingError(name, "***", f"{minimum} or more printable ASCII characters")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.raw(name)
        if value is None:
            return default
        if re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII) and low <= int(value) <= high:
            return int(value)
        raise SettingError(name, value, f"a whole number from {low} to {high}")

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.raw(name)
        if value is None:
            return default
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII) and low <= float(value) <= high:
            return float(value)
        raise SettingError(name, value, f"a number from {low:g} to {high:g}")

    def boolean(self, name: str, default: bool) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if value.lower() in _TRUE | _FALSE:
            return value.lower() in _TRUE
        raise SettingError(name, value, "true or false")

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.raw(name)
        if value is None:
            return default
        if value in allowed:
            return value
        raise SettingError(name, value, f"one of {', '.join(allowed)}")

    def listing(
        self, name: str, default: tuple[str, ...], valid: Callable[[str], bool], allowed: str
    ) -> tuple[str, ...]:
        """A comma-separated list, each element checked; repeated elements are dropped."""
        value = self.raw(name)
        if value is None:
            return default
        items = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        if all(valid(item) for item in items):
            return items
        raise SettingError(name, value, f"{allowed}, separated by commas")

    def languages(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        allowed = "language codes as the API's chapters have them (en, pt-br)"
        return self.listing(name, default, lambda s: bool(_LANGUAGE.fullmatch(s)), allowed)

    def uuids(self, name: str) -> frozenset[uuid.UUID]:
        items = self.listing(name, (), _is_uuid, "UUIDs")
        return frozenset(uuid.UUID(item) for item in items)

    def http_url(self, name: str, default: str) -> str:
        """An http(s) URL with a host, and without credentials, query, fragment or last slash."""
        value = self.raw(name)
        if value is None:
            return default
        if not _is_http_url(value):
            # What stands before an @ may be a password.
            shown = re.sub(r"//.*@", "//***@", value)
            raise SettingError(name, shown, "an http:// or https:// address without credentials")
        return value.rstrip("/")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        return False
    plain = text.isprintable() and not any(c.isspace() or c in "?#@\\" for c in text)
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_valid


def data_dir(env: Env) -> Path:
    """`MANGAHUB_DATA`, or its default: below the home directory, for root below /var/lib.

    Raises:
        SettingError: the path is not absolute.
    """
    value = env.raw("MANGAHUB_DATA")
    if value is None:
        return _default_data_dir()
    try:
        path = Path(value).expanduser()
    except RuntimeError:  # ~ of a user that does not exist
        path = Path(value)
    if not path.is_absolute():
        raise SettingError("MANGAHUB_DATA", value, "an absolute path")
    return path


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/mangahub")
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise SettingError("MANGAHUB_DATA", "", "set: this user has no home directory") from None
    return Path(home) / ".local/share/mangahub"
