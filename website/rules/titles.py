"""Titles as readers name them in a form. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OURS = re.compile(r"/titles/(\d{1,18})(-[^/]*)?")


def name_of_title(text: str) -> str:
    """Return what `find_title` understands: of an address here or at MangaDex, the id in it."""
    text = text.replace("\0", "").strip()
    if not text.startswith(("http://", "https://")):
        return text
    try:
        path = urlsplit(text).path
    except ValueError:
        return text
    if match := _OURS.match(path):
        return f"id:{match[1]}"
    found = _ID.search(path.lower())
    return found[0] if found else text
