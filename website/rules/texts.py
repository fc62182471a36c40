"""Texts of others where no element encloses them: `<title>`, feeds, calendars. Pure."""

from __future__ import annotations

import unicodedata

# Marks that change the direction of what follows (Unicode's UAX #9).
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain(text: str) -> str:
    """Return the text on one line, without control characters, directions and half characters.

    What Unicode calls no character goes too: XML allows no U+FFFF.
    """
    kept = (" " if c.isspace() else c for c in text if c.isspace() or _is_shown(c))
    return " ".join("".join(kept).split())


def _is_shown(c: str) -> bool:
    if unicodedata.category(c) in ("Cc", "Cs") or c in _DIRECTIONS:
        return False
    return ord(c) & 0xFFFE != 0xFFFE and not "\ufdd0" <= c <= "\ufdef"
