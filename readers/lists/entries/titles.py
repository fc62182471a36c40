"""When two names mean the same title: pure."""

from __future__ import annotations

import html
import unicodedata

MOST_CHARACTERS = 500
_NOT_PLAIN = {code: None for code in range(128) if not chr(code).isalnum()}


def clean(text: object) -> str:
    """Return a text from outside as it can be stored: on one line, and not too long."""
    if not isinstance(text, str):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * MOST_CHARACTERS])
    return " ".join(shown.split())[:MOST_CHARACTERS]


def normalise(name: str) -> str:
    """Return what equal names have in common: their letters and digits.

    Entities of HTML are undone; case, accents, width, blanks and punctuation do not count. A name
    of nothing else stays as it is, without blanks.
    """
    if name.isascii() and "&" not in name:
        plain = name.lower().translate(_NOT_PLAIN)
    else:
        folded = unicodedata.normalize("NFKD", html.unescape(name)).casefold()
        plain = unicodedata.normalize("NFC", "".join(filter(_counts, folded)))
    return plain[:MOST_CHARACTERS] or "".join(name.split()).casefold()[:MOST_CHARACTERS]


def _counts(character: str) -> bool:
    """Say whether a character tells names apart: letters, digits, and marks but accents.

    Marks of other scripts are sounds of their own: か is not が.
    """
    return character.isalnum() or (
        unicodedata.category(character)[0] == "M" and not "\u0300" <= character <= "\u036f"
    )
