"""What changed of a title, in words. Pure."""

from __future__ import annotations

import json

_LONGEST = 120
_NONE = "nothing"
_WORDS = {"cover_url": "cover", "total_chapters": "chapters in all"}


def describe_field(field: str) -> str:
    """Return `cover` for `cover_url`, and `status` for `status`."""
    return _WORDS.get(field, field.replace("_", " "))


def describe_value(field: str, value: object) -> str:
    """Return a stored value as readers see it: cut, and without the address of a cover."""
    if value is None or value == "" or value == {} or value == []:
        return _NONE
    if field == "cover_url":
        return "a picture"
    if isinstance(value, dict):
        text = ", ".join(f"{key}: {inner}" for key, inner in value.items())
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
