"""Measures predictions on made-up habits of releasing, one step ahead, beside Mihon's rule.

    python -m bench.prediction [--titles 300]

Mihon's rule, as its FetchInterval has it: the median gap of the newest ten release days, at least
one day and at most 28. Prints the share of releases within a day of the predicted one, and how many
fell into the range; a range says nothing without its width, so that stands beside it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

from bench.harness import print_table
from website.rules.prediction import predict

DAY = timedelta(days=1)
FIRST = date(2025, 1, 2)
KNOWN = 13  # release days that are kept of a title
Habit = Callable[[random.Random], Iterator[int]]


def weekly(rng: random.Random) -> Iterator[int]:
    """Every week on one day, every tenth time a week later, now and then a day off."""
    while True:
        off = rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, -1))
        yield (14 if rng.random() < 0.1 else 7) + off
        if off:
            yield 7 - off


def fortnightly(rng: random.Random) -> Iterator[int]:
    while True:
        yield 14 + rng.choice((0, 0, 0, 0, 1, 7))


def monthly(rng: random.Random) -> Iterator[int]:
    while True:
        yield rng.choice((28, 30, 30, 31, 31, 35))


def bursts(rng: random.Random) -> Iterator[int]:
    """Several days in a row, then nothing for weeks."""
    while True:
        for _ in range(rng.randint(2, 6)):
            yield rng.choice((1, 1, 1, 2))
        yield rng.randint(10, 40)


def whenever(rng: random.Random) -> Iterator[int]:
    while True:
        yield max(1, round(rng.lognormvariate(2.3, 0.8)))


def breaks(rng: random.Random) -> Iterator[int]:
    """Weekly, with a break of two months or more each year."""
    while True:
        for _ in range(rng.randint(30, 45)):
            yield 7
        yield 7 * rng.randint(9, 30)


HABITS: dict[str, Habit] = {
    "weekly with skips": weekly,
    "every two weeks": fortnightly,
    "monthly": monthly,
    "bursts": bursts,
    "whenever it is ready": whenever,
    "weekly with long breaks": breaks,
}


def release_days(habit: Habit, rng: random.Random, count: int) -> list[date]:
    gaps = itertools.islice(habit(rng), count - 1)
    return [FIRST + days * DAY for days in itertools.accumulate(gaps, initial=rng.randint(0, 6))]


def mihon(days: Sequence[date]) -> date:
    newest = days[-10:]
    gaps = sorted((b - a).days for a, b in itertools.pairwise(newest))
    return days[-1] + min(28, max(1, gaps[len(gaps) // 2])) * DAY


def judged(habit: Habit, titles: int) -> list[str]:
    """Return a row: both rules' hits, the range's, and its width."""
    ours = theirs = inside = asked = 0
    widths = list[int]()
    for title in range(titles):
        days = release_days(habit, random.Random(title), 60)
        for n in range(KNOWN, len(days)):
            known, actual = days[n - KNOWN : n], days[n]
            found = predict(known, None, known[-1])
            assert found.expected and found.start and found.end
            asked += 1
            ours += abs(found.expected - actual) <= DAY
            theirs += abs(mihon(known) - actual) <= DAY
            inside += found.start <= actual <= found.end
            widths.append((found.end - found.start).days + 1)
    shares = [f"{100 * hits / asked:.0f} %" for hits in (ours, theirs, inside)]
    return [*shares, f"{statistics.median(widths):.0f} days"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--titles", type=int, default=300)
    titles = parser.parse_args().titles
    print_table(
        f"{titles} titles a habit, 47 predictions each",
        ("habit", "within a day", "Mihon's rule", "in the range", "its median width"),
        [[name, *judged(habit, titles)] for name, habit in HABITS.items()],
    )


if __name__ == "__main__":
    main()
