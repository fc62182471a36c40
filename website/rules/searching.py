"""What is asked of the database for the words that somebody has typed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_APART = "\x1f"  # between the characters of scripts without blanks, see the migration
_MAX_WORDS = 12
_MOST_TYPOS = 5
_LEAST_PREFIX = 3  # with fewer letters too many words begin


@dataclass(frozen=True, slots=True)
class Query:
    """A search.

    Attributes:
        tsquery: what PostgreSQL matches with the words of a title's names.
        words: those that may have been mistyped, in order.
    """

    tsquery: str
    words: tuple[str, ...]


def make_query(folded: str) -> Query | None:
    """Return the query for a text as `mangahub_search_text` gives it; None if it has no words.

    All words must be there, each as the beginning of a word; characters of a script without blanks
    must stand together.
    """
    parts = folded.split(" ")
    pieces = [[piece for piece in part.split(_APART) if piece] for part in parts if part]
    terms = [_term(piece) for piece in pieces if piece][:_MAX_WORDS]
    words = tuple(piece[0] for piece in pieces if len(piece) == 1)
    return Query(" & ".join(terms), words) if terms else None


def _term(pieces: Sequence[str]) -> str:
    if len(pieces) > 1:
        return f"({' <-> '.join(map(_quoted, pieces))})"
    (word,) = pieces
    return _quoted(word) + (":*" if len(word) >= _LEAST_PREFIX else "")


def _quoted(word: str) -> str:
    return "'" + re.sub(r"['\\]", r"\g<0>\g<0>", word) + "'"


def nearest(word: str, candidates: Sequence[str]) -> list[str]:
    """Return the candidates that a mistyped word may mean, the likeliest first."""
    found = [(distance(word, each), abs(len(word) - len(each)), each) for each in candidates]
    return [each for _, _, each in sorted(found)[:_MOST_TYPOS]]


def distance(one: str, other: str) -> int:
    """Return how many letters were left out, added, replaced or swapped with their neighbour.

    This is the optimal string alignment distance.
    """
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, older[j - 2] + 1)
            row.append(least)
    return row[-1]
