"""Paths of this site that a form or an address names. Pure."""

from __future__ import annotations

import re

_LONGEST = 2_000
_SECRETS = re.compile(r"(?<=^/feeds/)[^/]{16,}|(?<=^/sign-in/).+")


def own_path(text: str | None) -> str | None:
    """Return a path of this site, None for whatever else a browser would make of the text.

    Browsers take `//host`, `/\\host` and what has control characters in it for other sites'.
    """
    if not text or len(text) > _LONGEST or text[0] != "/" or text[1:2] in ("/", "\\"):
        return None
    return text if text.isascii() and text.isprintable() and "\\" not in text else None


def redacted(path: str) -> str:
    """Return a path as it may stand in a log: without the secret of a private address."""
    return _SECRETS.sub("***", path)
