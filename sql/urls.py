"""Database URLs: checked before they are used, and shown without their password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mangahub.env import SettingError

_ALLOWED = "a libpq URL such as postgresql://user:password@host:5432/database"
_SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})


def masked(url: str) -> str:
    """The URL with *** for every password, on one line."""
    # The user part ends at the last @ before the path: a password may hold an unquoted one.
    text = re.sub(r"^(\w+://[^:/?#@]*):[^/?#]*@", r"\1:***@", url)
    text = re.sub(r"((?:ssl|pg)?password=)('[^']*'|[^&\s]*)", r"\1***", text, flags=re.IGNORECASE)
    return "".join(c if c.isprintable() else "?" for c in text)


def checked(name: str, url: str) -> str:
    """The value of the variable `name` if libpq can read it.

    Raises:
        SettingError: it is no URL, or one of its parts cannot be right.
    """
    if not url.isprintable() or not url.startswith(("postgresql://", "postgres://")):
        raise SettingError(name, masked(url), _ALLOWED)
    try:
        parts = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError) as exc:
        raise SettingError(name, _no_secrets(url), _ALLOWED) from exc
    if not (_ports_are_valid(parts.get("port")) and _options_are_valid(parts)):
        raise SettingError(name, _no_secrets(url), _ALLOWED)
    return url


def _no_secrets(url: str) -> str:
    """A malformed URL may hold its password anywhere: show no more than is surely none."""
    return masked(url) if "@" not in url or _splits(url) else url.split("://")[0] + "://***"


def _splits(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return "password" not in parse_qs(parts.query) and parts.username is not None
    except ValueError:
        return False


def _ports_are_valid(ports: object) -> bool:
    texts = str(ports or "5432").split(",")
    return all(not t or (t.isascii() and t.isdigit() and 0 < int(t) < 65536) for t in texts)


def _options_are_valid(parts: Mapping[str, object]) -> bool:
    timeout = str(parts.get("connect_timeout", "0"))
    known_ssl = parts.get("sslmode", "prefer") in _SSL_MODES
    return known_ssl and re.fullmatch(r"-?\d{1,9}", timeout, re.ASCII) is not None
