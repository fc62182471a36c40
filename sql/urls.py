"""Database URLs: checked before they are used, and shown without their password."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mangahub.env import SettingError

_ALLOWED = "a libpq URL such as postgresql://user:password@host:5432/database"
# What libpq says of a part of the URL, as soon as it is to connect.
_BAD_PART = re.compile(
    r"connection is bad: (invalid|weak|definition|could not parse|Unix-domain)"
    r"|invalid integer value"
)
_SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})


# A quoted value ends at its quote, others at a blank or &; a backslash escapes the next character.
_PASSWORD_FIELD = re.compile(
    r"(password\s*=\s*)('(?:\\.|[^'\\])*'?|(?:\\.|[^&\s\\])*)", re.IGNORECASE | re.DOTALL
)
# Up to the last @, because a password may contain an unquoted one, or a slash.
_BEFORE_PASSWORD = r"^(\w*:/+[^:@]*|(?!\w*:/)[^:@]*):"
_PASSWORD_PART = re.compile(rf"{_BEFORE_PASSWORD}.*@", re.DOTALL)


def masked(url: str) -> str:
    """Return the URL with *** for every password, on one line."""
    text = _PASSWORD_FIELD.sub(r"\1***", _PASSWORD_PART.sub(r"\1:***@", url))
    return "".join(c if c.isprintable() else "?" for c in text)


def checked(name: str, url: str) -> str:
    """Return the value of the variable `name` if libpq can read it.

    Raises:
        SettingError: it is not a URL, or one of its parts is wrong.
    """
    if not url.isprintable() or not url.startswith(("postgresql://", "postgres://")):
        raise _refused(name, url)
    try:
        parts = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError):
        # libpq's own text repeats parts of the URL.
        raise _refused(name, url) from None
    if not (_ports_are_valid(parts.get("port")) and _options_are_valid(parts)):
        raise _refused(name, url)
    return url


def blamed(exc: Exception, url: str) -> SettingError | None:
    """Return what to say where a connection failed because of the URL, whatever answers there."""
    if isinstance(exc, UnicodeError) or _BAD_PART.search(str(exc)):
        return _refused("DATABASE_URL", url, f"{_ALLOWED} ({' '.join(masked(str(exc)).split())})")
    return None


def _refused(name: str, url: str, allowed: str = _ALLOWED) -> SettingError:
    """Without an @ the password may stand where the port should."""
    shown = re.sub(rf"{_BEFORE_PASSWORD}[^@]*$", r"\1:***", masked(url), flags=re.DOTALL)
    return SettingError(name, shown, allowed)


def _ports_are_valid(ports: object) -> bool:
    texts = str(ports or "5432").split(",")
    return all(not t or (t.isascii() and t.isdigit() and 0 < int(t) < 65536) for t in texts)


def _options_are_valid(parts: Mapping[str, object]) -> bool:
    timeout = str(parts.get("connect_timeout", "0"))
    known_ssl = parts.get("sslmode", "prefer") in _SSL_MODES
    return known_ssl and re.fullmatch(r"-?\d{1,9}", timeout, re.ASCII) is not None


def is_local(url: str) -> bool:
    """Return whether the URL means something else, or nothing, on another host."""
    parts = conninfo_to_dict(url)
    hosts = str(parts.get("hostaddr") or parts.get("host") or os.environ.get("PGHOST", ""))
    return all(
        host in ("", "localhost", "::1") or host.startswith(("/", "@", "127."))
        for host in hosts.split(",")
    )
