"""The chapters of the base catalogue, by title and by week, from the same formula.

A title makes a release every so many rounds (weeks); a release is a few rows: languages, groups,
re-uploads. So both "all rows of a title" and "all rows of a week" cost only what they return,
although three million rows are never kept. Titles whose chapters are links to a publisher
carry a publishAt far ahead: those are few, and come as one list (`irregular`).
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from mangadex_sim.catalogue import words
from mangadex_sim.catalogue.bulk_facts import HISTORY_START, ROUND_S, BulkFacts
from mangadex_sim.catalogue.ids import CHAPTER, make_key
from mangadex_sim.catalogue.models import ChapterRow
from mangadex_sim.catalogue.people import NO_GROUP, People
from mangadex_sim.catalogue.seeded_random import SeededRandom
from mangadex_sim.catalogue.traits import (
    EXTERNAL_DENSE_BELOW,
    EXTERNAL_MODULUS,
    EXTERNAL_REMAINDER,
    has_trait,
    is_external,
)

FAR_FUTURE = 2_145_916_799  # 2037-12-31T23:59:59: "it will always only be a link"

_ROWS_PER_RELEASE = 16  # key space; a release has 8 rows at most
_ROW_GAP_S = 5 * 3_600
_OFFSET_S = ROUND_S - 2 * 86_400
_LANGUAGE_SETS = (
    ("en",),
    ("en",),
    ("en",),
    ("en",),
    ("en",),
    ("en", "es-la"),
    ("en", "pt-br"),
    ("en", "fr"),
    ("en", "es-la", "pt-br", "ru", "id"),
    ("pt-br",),
    ("es-la", "ru"),
    ("en", "zh-hk", "ja-ro"),
)
_SAME, _OTHER = 0, 1  # which of the title's two groups uploads a row


def number_release(index: int, release: int) -> tuple[str | None, str | None]:
    """Return (volume, chapter) of a title's nth release, counted from 0."""
    if has_trait(index, "unnumbered") and release % 3 == 0:
        return None, None
    if has_trait(index, "numbers_restart"):
        return str(release // 8 + 1), str(release % 8 + 1)
    if has_trait(index, "numbers_from_zero"):
        return None, str(release)
    volume = "3Cxx" if has_trait(index, "odd_volume") else str(release // 6 + 1)
    return volume if release % 5 else None, _write_number(index, release)


def _write_number(index: int, release: int) -> str:
    if has_trait(index, "halves"):
        fives, rest = divmod(release, 5)
        return str(4 * fives + rest + 1) if rest < 4 else f"{4 * fives + 4}.5"
    if has_trait(index, "letters"):
        return f"{release // 2 + 1}{'ab'[release % 2]}"
    return f" {release + 1} " if has_trait(index, "blanks") else str(release + 1)


class ChapterHistory:
    """Derives the base catalogue's chapters of one seed."""

    def __init__(self, seed: int, bulk: BulkFacts, people: People) -> None:
        self._seed = seed
        self._bulk = bulk
        self._people = people
        self.of_title = lru_cache(maxsize=512)(self._chapters_of)
        self.of_round = lru_cache(maxsize=8)(self._chapters_in)

    @property
    def rounds(self) -> int:
        """How many weeks the history has."""
        return self._bulk.rounds

    @cached_property
    def irregular(self) -> list[ChapterRow]:
        """All rows with a publishAt far from their createdAt."""
        step, dense = EXTERNAL_MODULUS, min(EXTERNAL_DENSE_BELOW, self._bulk.count)
        indexes = [
            *range(EXTERNAL_REMAINDER, dense, step),
            *range(EXTERNAL_DENSE_BELOW, self._bulk.count),
        ]
        return [
            chapter
            for index in indexes
            if is_external(index)
            for chapter in self._chapters_of(index)
        ]

    def layout(self, index: int) -> list[tuple[str, int]]:
        """Return (language, which group) of each row of the title's releases."""
        rows = [
            (language, _SAME)
            for language in SeededRandom(self._seed, "rows", index).choice(_LANGUAGE_SETS)
        ]
        if has_trait(index, "two_groups"):
            rows.append((rows[0][0], _OTHER))
        if has_trait(index, "reupload"):
            rows.append(rows[0])
        return rows

    def languages(self, index: int) -> list[str]:
        """Return the translated languages of a base title, without repeats."""
        if index >= self._bulk.count or not self._bulk.releases[index]:
            return []
        return list(dict.fromkeys(language for language, _ in self.layout(index)))

    def latest(self, index: int) -> tuple[int, int] | None:
        """Return (key, readable) of a title's newest base row, or None."""
        if index >= self._bulk.count or not (count := self._bulk.releases[index]):
            return None
        chapter = self._rows(index, count - 1)[-1]
        return chapter.key, chapter.readable

    def latest_instant(self, index: int) -> int:
        """Return when the newest release of a title came, 0 for none; cheaper than `latest`."""
        count = self._bulk.releases[index]
        if not count:
            return 0
        rng = SeededRandom(self._seed, "release", index, count - 1)
        return self._release_instant(index, count - 1, rng)

    def find(self, index: int, sub: int) -> ChapterRow | None:
        """Return the base row that a chapter key's (index, sub) stands for."""
        release, row = divmod(sub, _ROWS_PER_RELEASE)
        if index >= self._bulk.count or release >= self._bulk.releases[index]:
            return None
        rows = self._rows(index, release)
        return rows[row] if row < len(rows) else None

    def _chapters_of(self, index: int) -> list[ChapterRow]:
        if index >= self._bulk.count:
            return []
        return [
            chapter
            for release in range(self._bulk.releases[index])
            for chapter in self._rows(index, release)
        ]

    def _chapters_in(self, number: int) -> list[ChapterRow]:
        """Return the regular rows whose instants all lie in one round."""
        bulk = self._bulk
        plans = zip(
            range(bulk.count),
            bulk.first_rounds,
            bulk.releases,
            bulk.periods,
            strict=True,
        )
        due = [
            (index, (number - first) // period)
            for index, first, count, period in plans
            if first <= number < first + count * period and (number - first) % period == 0
        ]
        return [
            chapter
            for index, release in due
            if not is_external(index)
            for chapter in self._rows(index, release)
        ]

    def _release_instant(self, index: int, release: int, rng: SeededRandom) -> int:
        bulk = self._bulk
        number = bulk.first_rounds[index] + release * bulk.periods[index]
        return HISTORY_START + number * ROUND_S + rng.below(_OFFSET_S)

    def _rows(self, index: int, release: int) -> list[ChapterRow]:
        rng = SeededRandom(self._seed, "release", index, release)
        start = self._release_instant(index, release, rng)
        volume, number = number_release(index, release)
        title = self._chapter_title(rng)
        pages = 12 + rng.below(30)
        groups = self._groups(index)
        uploader = self._uploader(index)
        newest = release + 1 == self._bulk.releases[index]
        taken_down = has_trait(index, "unavailable") and release % 4 == 1 and not newest
        late = 1 if has_trait(index, "publish_a_second_late") else 0
        link = f"https://reader.example/series/{index}/{release}" if is_external(index) else None
        rows = []
        for row, (language, which) in enumerate(self.layout(index)):
            created = start + row * _ROW_GAP_S
            rows.append(
                ChapterRow(
                    key=make_key(CHAPTER, index, release * _ROWS_PER_RELEASE + row),
                    manga=index,
                    number=number,
                    volume=volume,
                    title=title,
                    language=language,
                    external_url=link,
                    pages=0 if link else pages,
                    created=created,
                    updated=created + 9 * (row + 1),
                    publish=FAR_FUTURE if link else created + late,
                    version=1 + row % 4,
                    unavailable=taken_down and row == 0,
                    groups=groups[which],
                    uploader=uploader,
                )
            )
        return rows

    def _chapter_title(self, rng: SeededRandom) -> str | None:
        kind = rng.below(5)
        if kind == 0:
            return None
        return "" if kind == 1 else rng.choice(words.CHAPTER_TITLES)

    def _groups(self, index: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        ids = self._people.group_ids
        first, second = ids[index * 13 % len(ids)], ids[(index * 13 + 7) % len(ids)]
        if has_trait(index, "no_group"):
            return (), (second,)
        if has_trait(index, "legacy_no_group"):
            return (NO_GROUP,), (second,)
        if has_trait(index, "joint_release"):
            return (first, second), (second,)
        return (first,), (second,)

    def _uploader(self, index: int) -> str | None:
        if has_trait(index, "no_uploader"):
            return None
        ids = self._people.user_ids
        return ids[index * 11 % len(ids)]
