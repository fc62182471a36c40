"""Orders what may or may not be a number: chapter and volume texts."""

from __future__ import annotations

import re

_NUMBER_PATTERN = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)(.*)", re.ASCII | re.DOTALL)


def sortable(text: str | None) -> tuple[int, float, str]:
    """Return a sort key: numbers by value and suffix, then other texts, then null."""
    if text is None:
        return 2, 0.0, ""
    match = _NUMBER_PATTERN.fullmatch(text)
    return (0, float(match[1]), match[2].strip()) if match else (1, 0.0, text)
