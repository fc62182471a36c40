"""Bulk facts of the base catalogue, one compact array each, made when first needed.

100,000 titles cost some 30 ms and at most 0.4 MB a column. All but the creation dates are the
same for a title however many titles follow it.
"""

from __future__ import annotations

from array import array
from functools import cached_property
from itertools import accumulate
from random import Random

from mangadex_sim.catalogue.models import DEMOGRAPHICS, RATINGS, STATUSES, Facts

HISTORY_START = 1_515_974_400  # 2018-01-15T00:00:00: the oldest chapters of the real site
ROUND_S = 7 * 86_400

LANGUAGES = ("ja", "ko", "zh", "zh-hk", "en")

_RATING_WEIGHTS = (66, 22, 8, 4)
_STATUS_WEIGHTS = (55, 33, 8, 4)
_LANGUAGE_WEIGHTS = (70, 15, 8, 2, 5)
_DEMOGRAPHIC_WEIGHTS = (22, 14, 6, 16, 42)  # the last: none
# Distances between creations, relative; 0 makes two titles share a second.
_GAPS = (0, 1, 2, 3, 5, 8)
_RELEASES = (0, 1, 2, 4, 6, 9, 12, 18, 26, 40)
_RELEASE_WEIGHTS = (8, 12, 12, 14, 14, 12, 12, 8, 5, 3)
_PERIODS = (1, 1, 2, 4)


class BulkFacts:
    """Facts of titles 0 … count - 1 whose history lies between 2018 and `end` (epoch seconds)."""

    def __init__(self, seed: int, count: int, end: int) -> None:
        self._seed = seed
        self.count = count
        self.end = end
        self.rounds = max(1, (end - HISTORY_START) // ROUND_S)

    def _random(self, purpose: str) -> Random:
        return Random(f"{self._seed}/{purpose}")

    def _choose(self, purpose: str, options: int, weights: tuple[int, ...]) -> bytes:
        return bytes(self._random(purpose).choices(range(options), weights, k=self.count))

    @cached_property
    def created(self) -> array[int]:
        """Creation dates, never falling with the index; about one in six repeats the last."""
        gaps = self._random("created").choices(_GAPS, k=self.count)
        span, whole = self.end - HISTORY_START, sum(gaps) or 1
        return array("I", [HISTORY_START + span * done // whole for done in accumulate(gaps)])

    @cached_property
    def updated(self) -> array[int]:
        """Dates of the last edit, between creation and the end of history."""
        draw, end = self._random("updated").random, self.end
        return array("I", [made + int((end - made) * draw() ** 2) for made in self.created])

    @cached_property
    def follows(self) -> array[int]:
        """Followers: few titles have many, many have few."""
        draw = self._random("follows").random
        return array("I", [int(min(400_000.0, 30 / (1.0 - draw()) ** 0.9)) for _ in self.created])

    @cached_property
    def ratings(self) -> bytes:
        """Indexes into RATINGS."""
        return self._choose("rating", len(RATINGS), _RATING_WEIGHTS)

    @cached_property
    def statuses(self) -> bytes:
        """Indexes into STATUSES."""
        return self._choose("status", len(STATUSES), _STATUS_WEIGHTS)

    @cached_property
    def languages(self) -> bytes:
        """Indexes into LANGUAGES: the language of the original."""
        return self._choose("language", len(LANGUAGES), _LANGUAGE_WEIGHTS)

    @cached_property
    def demographics(self) -> bytes:
        """Indexes into DEMOGRAPHICS, or its length for none."""
        return self._choose("demographic", len(DEMOGRAPHICS) + 1, _DEMOGRAPHIC_WEIGHTS)

    @cached_property
    def first_rounds(self) -> array[int]:
        """The round (a week since HISTORY_START) of each title's first release."""
        return array("H", [(made - HISTORY_START) // ROUND_S + 1 for made in self.created])

    @cached_property
    def periods(self) -> bytes:
        """Rounds from one release of a title to its next."""
        return bytes(self._random("period").choices(_PERIODS, k=self.count))

    @cached_property
    def releases(self) -> bytes:
        """How many releases each title had before history ended."""
        wanted = self._random("releases").choices(_RELEASES, _RELEASE_WEIGHTS, k=self.count)
        last = self.rounds
        return bytes(
            max(0, min(count, (last - first + period - 1) // period))
            for count, first, period in zip(wanted, self.first_rounds, self.periods, strict=True)
        )

    def facts(self, index: int) -> Facts:
        """Return the facts of one title."""
        demographic = self.demographics[index]
        return Facts(
            RATINGS[self.ratings[index]],
            STATUSES[self.statuses[index]],
            LANGUAGES[self.languages[index]],
            DEMOGRAPHICS[demographic] if demographic < len(DEMOGRAPHICS) else None,
            self.created[index],
            self.updated[index],
            self.follows[index],
        )
