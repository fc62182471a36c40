"""Parsers of settings: each returns the value of a text, or raises NotAllowed."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from mangahub.env import NotAllowed

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_LABEL = "(?!-)[a-z0-9_-]{1,63}(?<!-)"  # lower case, as urlsplit returns it
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?")


def printable_ascii(text: str) -> str:
    """Return a secret that may stand in an HTTP header."""
    if text.isascii() and text.isprintable():
        return text
    raise NotAllowed("1 or more printable ASCII characters")


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) and low <= int(text) <= high:
            return int(text)
        raise NotAllowed(f"a whole number from {low} to {high}")

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) and low <= float(text) <= high:
            return float(text)
        raise NotAllowed(f"a number from {low:g} to {high:g}")

    return parse


def boolean(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise NotAllowed("true or false")


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text in allowed:
            return text
        raise NotAllowed(f"one of {', '.join(allowed)}")

    return parse


def listing(is_allowed: Callable[[str], bool], allowed: str) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of elements between commas; repeated elements are dropped."""

    def parse(text: str) -> tuple[str, ...]:
        items = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
        if all(map(is_allowed, items)):
            return items
        raise NotAllowed(f"{allowed}, separated by commas")

    return parse


def uuids(text: str) -> frozenset[uuid.UUID]:
    return frozenset(map(uuid.UUID, listing(_is_uuid, "UUIDs")(text)))


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def http_url(text: str) -> str:
    """Return an http(s) URL with a host, without last slash, credentials, query or fragment."""
    is_plain = text.isprintable() and not any(c.isspace() or c in "?#\\" for c in text)
    if is_plain and text.lower().startswith(("http://", "https://")) and has_host(text):
        return text.rstrip("/")
    raise NotAllowed("an http:// or https:// address without credentials, of a host named in ASCII")


def has_host(url: str) -> bool:
    """Return whether `//host` or `//host:port` stands in the URL, and can be looked up."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    place = f"[{host}]" if ":" in host else host
    # Whatever else would stand there, as credentials or an empty port, is missing in this.
    is_whole = parts.netloc.lower() == (place if port is None else f"{place}:{port}")
    return is_whole and port != 0 and (_is_ip_address(host) or bool(_HOST_NAME.fullmatch(host)))


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def absolute_path(text: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~ of a user that does not exist
        path = Path(text)
    if path.is_absolute():
        return path
    raise NotAllowed("an absolute path")
