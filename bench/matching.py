"""What names alone find, and what they find wrongly, by threshold.

    python -m bench.matching [--titles 4000] [--seed 1]

Titles of the stand-in's catalogue with all their names, and an entry for each, whose
ids are hidden: as it is, in other letters, with a mistake, by another of its names, or with more or
less behind the name. An entry is answered if exactly one title is near enough. The last column is
the honest one: the true title is taken out of the catalogue, and every answer is wrong then.

The threshold is chosen on the first half of the entries (the lowest at which 98 of 100 answers are
right, and of 100 entries whose title is missing at most 6 get one), and reported on the second.
Compared with `readers.lists.matching`, which also wants the same digits in both names.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.harness import print_table
from mangadex_sim.catalogue import names
from readers.lists.entries.titles import normalise
from readers.lists.similarity import SURE, NameIndex

THRESHOLDS = (100.0, 95.0, 90.0, 85.0)
SHARED = 0.026  # of 49,943 main names of 2021, 1,307 are not unique
LEAST_RIGHT, MOST_WRONG = 0.98, 0.06


@dataclass(frozen=True)
class Asked:
    """An entry: how its name differs, the name, and the titles that are near it."""

    kind: str
    truth: int
    near: dict[int, float]


@dataclass(frozen=True)
class Result:
    """Shares of entries: answered, answered rightly, and answered without their title."""

    answered: float
    right: float
    wrongly: float

    @property
    def precision(self) -> float:
        return self.right / self.answered if self.answered else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--titles", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    catalogue = make_catalogue(options.seed, options.titles)
    asked = ask(catalogue, dice)
    first, second = asked[::2], asked[1::2]
    chosen = choose(first)
    rows = [row(f"≥ {at:g}", evaluate(second, at)) for at in THRESHOLDS]
    header = ["threshold", "answered", "right of these", "recall", "answered though not there"]
    print_table(f"names alone, {len(second):,} entries", header, rows)
    print(f"\nchosen on the other half: ≥ {chosen:g}; in use: ≥ {SURE:g}")
    kinds = sorted({each.kind for each in second})
    by_kind = [
        row(kind, evaluate([each for each in second if each.kind == kind], SURE)) for kind in kinds
    ]
    print_table(f"at ≥ {SURE:g}, by how the list writes the name", ["name", *header[1:]], by_kind)


def make_catalogue(seed: int, count: int) -> list[list[str]]:
    """Return the names of titles, of which as many are shared as at MangaDex.

    The stand-in's words give every second title a name that another one has.
    """
    taken: set[str] = set()
    catalogue: list[list[str]] = []
    shared = 0
    for index in range(20 * count):
        found = names_of(seed, index)
        if found[0] in taken:
            if shared > SHARED / 2 * len(catalogue):
                continue
            shared += 1
        own = [found[0], *(name for name in found[1:] if name not in taken)]
        taken.update(own)
        catalogue.append(own)
        if len(catalogue) == count:
            break
    return catalogue


def names_of(seed: int, index: int) -> list[str]:
    """Return a title's names: the main one, a Japanese one, its romanisation, and a short one."""
    main = names.invent_title(seed, index)
    japanese, romanised = names.invent_japanese_title(seed, index)
    parts = [main, japanese, romanised, *([main.split(":")[0]] if ":" in main else [])]
    return list(dict.fromkeys(parts))


def ask(catalogue: Sequence[list[str]], dice: random.Random) -> list[Asked]:
    """Return an entry a title, in random order, with the titles near it."""
    index = NameIndex()
    owners: dict[str, set[int]] = {}
    for owner, all_names in enumerate(catalogue):
        for name in map(normalise, all_names):
            index.add(name, owner)
            owners.setdefault(name, set()).add(owner)
    order = list(range(len(catalogue)))
    dice.shuffle(order)
    found = []
    for truth in order:
        kind = dice.choice(list(CHANGES))
        name = normalise(CHANGES[kind](catalogue[truth], dice))
        near = index.near([name]) | dict.fromkeys(owners.get(name, ()), 100.0)
        found.append(Asked(kind, truth, near))
    return found


def _misspelled(name: str, dice: random.Random) -> str:
    place = dice.randrange(len(name))
    return name[:place] + dice.choice("aeiostn") + name[place + 1 :]


CHANGES: dict[str, Callable[[list[str], random.Random], str]] = {
    "as it is": lambda all_names, dice: all_names[0],
    "other letters": lambda all_names, dice: all_names[0].upper().replace("&", "&amp;") + "!",
    "another name": lambda all_names, dice: dice.choice(all_names[1:] or all_names),
    "one mistake": lambda all_names, dice: _misspelled(all_names[0], dice),
    "two mistakes": lambda all_names, dice: _misspelled(_misspelled(all_names[0], dice), dice),
    "a second part": lambda all_names, dice: f"{all_names[0]} {dice.randint(2, 4)}",
    "more behind it": lambda all_names, dice: f"{all_names[0]}: The Beginning",
    "no article": lambda all_names, dice: all_names[0].removeprefix("The "),
}


def evaluate(asked: Sequence[Asked], threshold: float) -> Result:
    answers = [(each, answer(each.near, threshold)) for each in asked]
    count = max(1, len(asked))
    without = (
        answer({id: s for id, s in each.near.items() if id != each.truth}, threshold)
        for each in asked
    )
    return Result(
        sum(found is not None for _, found in answers) / count,
        sum(found == each.truth for each, found in answers) / count,
        sum(found is not None for found in without) / count,
    )


def answer(near: dict[int, float], threshold: float) -> int | None:
    """Return the only title with an equal name, or else the only one that is near enough."""
    equal = [id for id, score in near.items() if score >= 100]
    sure = equal or [id for id, score in near.items() if score >= threshold]
    return sure[0] if len(sure) == 1 else None


def choose(asked: Sequence[Asked]) -> float:
    results = {at: evaluate(asked, at) for at in THRESHOLDS}
    good = [
        at
        for at, each in results.items()
        if each.precision >= LEAST_RIGHT and each.wrongly <= MOST_WRONG
    ]
    return min(good, default=THRESHOLDS[0])


def row(name: str, result: Result) -> list[str]:
    shares = (result.answered, result.precision, result.right, result.wrongly)
    return [name, *(f"{share:.1%}" for share in shares)]


if __name__ == "__main__":
    main()
