"""Names that are nearly equal, by rapidfuzz (the extra `lists`): pure.

Where it is not installed, only equal names match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil, floor

try:
    from rapidfuzz import fuzz, process

    IS_INSTALLED = True
except ImportError:  # pragma: no cover
    IS_INSTALLED = False

SURE = 95.0  # a unique name at least as near is the same title (LISTS: 99.6 % are right)
DOUBTFUL = 85.0  # worth showing
_MOST_HITS = 12


class NameIndex:
    """Names by their length, as names of very different length cannot be near."""

    def __init__(self) -> None:
        self._names: dict[int, list[str]] = {}
        self._owners: dict[int, list[int]] = {}

    def add(self, name: str, owner: int) -> None:
        """Add a normalised name of a title."""
        self._names.setdefault(len(name), []).append(name)
        self._owners.setdefault(len(name), []).append(owner)

    def near(self, names: Iterable[str]) -> dict[int, float]:
        """Return titles that have a name near one of these, with how near, from 0 to 100."""
        found: dict[int, float] = {}
        for name in names:
            for owner, score in self._near(name):
                found[owner] = max(score, found.get(owner, 0.0))
        return found

    def _near(self, name: str) -> Iterator[tuple[int, float]]:
        if not IS_INSTALLED:
            return
        for length in _lengths(len(name)):
            if choices := self._names.get(length):
                hits = process.extract(
                    name,
                    choices,
                    scorer=fuzz.ratio,
                    score_cutoff=DOUBTFUL,
                    limit=_MOST_HITS,
                )
                owners = self._owners[length]
                for near, score, position in hits:
                    yield owners[position], score if _digits(near) == _digits(name) else DOUBTFUL


def _digits(name: str) -> str:
    """Return the digits of a name: however near, part 2 is not part 3."""
    return "".join(filter(str.isdigit, name))


def _lengths(length: int) -> range:
    """Return the lengths that a name may have to be near one of this length.

    The ratio is at most twice the shorter length over the sum of both.
    """
    share = DOUBTFUL / 100
    return range(ceil(length * share / (2 - share)), floor(length * (2 - share) / share) + 1)
