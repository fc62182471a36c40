"""Suggestions on readers with tastes: how many of their other titles are found, and the time.

    python -m bench.suggestions [--seed 1]

Readers are made, each with one to three of 24 tastes; a taste prefers some titles and some genres,
and popular titles are read by all. Of 40 further readers some titles are shown and the others are
looked for among the 20 first suggestions (recall@20, of at most 20). Beside what
`readers.suggestions` says: the most followed titles, and titles at random. Then the time of the
statement at 10,000 readers.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from uuid import UUID

import sql
from bench.harness import new_database, print_table, server
from readers import suggestions
from readers.users import User

TITLES, TASTES, GENRES = 4000, 24, 20
TESTED, TOP = 40, 20
SHOWN, READERS = (3, 10, 30), (25, 100, 1000)
LENGTHS = (40, 68, 120)  # of libraries: low, median, high
LARGE, LARGE_LENGTH = 10_000, 80
LARGE_TITLES = 20_000


@dataclass(frozen=True)
class Population:
    """Titles with their popularity, and tastes: for each the titles that it prefers, by weight."""

    dice: random.Random
    follows: list[int]
    tastes: list[list[int]]
    genres: list[list[int]]

    def make_library(self, length: int) -> list[int]:
        """Return the titles of a new reader, in random order."""
        own = [t for taste in self.dice.sample(self.tastes, self.dice.randint(1, 3)) for t in taste]
        found: dict[int, None] = {}
        while len(found) < length:
            liked = self.dice.random() < 0.6
            ranked = own if liked else range(len(self.follows))
            found[ranked[int(len(ranked) * self.dice.random() ** 2.5)]] = None
        titles = list(found)
        self.dice.shuffle(titles)
        return titles


def make_population(seed: int, titles: int = TITLES) -> Population:
    dice = random.Random(seed)
    follows = [int(400_000 / (1 + rank) ** 0.8) for rank in range(titles)]
    tastes = [sorted(dice.sample(range(titles), titles // 16)) for _ in range(TASTES)]
    genres_of_taste = [dice.sample(range(GENRES), 4) for _ in range(TASTES)]
    genres: list[list[int]] = [[dice.randrange(GENRES)] for _ in range(titles)]
    for taste, names in zip(tastes, genres_of_taste, strict=True):
        for title in taste:
            genres[title] = list({*genres[title], *dice.sample(names, 2)})
    return Population(dice, follows, tastes, genres)


def fill(connection: sql.Connection, population: Population) -> None:
    """Store titles, genres and figures; the numbers of titles are their ids."""
    count = len(population.follows)
    connection.execute(
        "INSERT INTO manga (id, title, slug) SELECT n, 'Title ' || n, 'title-' || n"
        " FROM generate_series(0, %s) AS n",
        [count - 1],
    )
    connection.execute(
        "INSERT INTO genres (id, name) SELECT n, 'Genre ' || n FROM generate_series(0, %s) AS n",
        [GENRES - 1],
    )
    pairs = [(t, g) for t, genres in enumerate(population.genres) for g in genres]
    connection.execute(
        "INSERT INTO manga_genres (manga_id, genre_id) SELECT * FROM unnest(%s::int[], %s::int[])",
        [[t for t, _ in pairs], [g for _, g in pairs]],
    )
    connection.execute(
        "INSERT INTO title_popularity SELECT n - 1, follows, now()"
        " FROM unnest(%s::int[]) WITH ORDINALITY AS f (follows, n)",
        [population.follows],
    )


def add_readers(connection: sql.Connection, first: int, libraries: Sequence[list[int]]) -> None:
    """Store readers, numbered from `first`, with their libraries."""
    ids = [UUID(int=first + n) for n in range(len(libraries))]
    connection.execute(
        "INSERT INTO users (id, username, email, password_hash)"
        " SELECT id, id::text, id::text, '!' FROM unnest(%s::uuid[]) AS id",
        [ids],
    )
    with connection.cursor().copy("COPY user_library (user_id, manga_id) FROM STDIN") as copy:
        for user_id, library in zip(ids, libraries, strict=True):
            for manga_id in library:
                copy.write_row((user_id, manga_id))
    connection.execute("VACUUM ANALYZE")


@dataclass(frozen=True)
class Trial:
    """A reader of whom some titles are shown."""

    shown: list[int]
    hidden: set[int]

    def recall(self, found: Sequence[int]) -> float:
        return len(self.hidden & set(found[:TOP])) / min(TOP, len(self.hidden))


def trials(population: Population, shown: int) -> Iterator[Trial]:
    for _ in range(TESTED):
        library = population.make_library(max(shown + 20, population.dice.choice(LENGTHS)))
        yield Trial(library[:shown], set(library[shown:]))


def suggested(connection: sql.Connection, trial: Trial) -> list[int]:
    user = User(UUID(int=0), "trial")
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO users (id, username, email, password_hash) VALUES (%s, 't', 't', '!')",
            [user.id],
        )
        connection.execute(
            "INSERT INTO user_library (user_id, manga_id) SELECT %s, unnest(%s::int[])",
            [user.id, trial.shown],
        )
        return [each.manga_id for each in suggestions.make_suggestions(connection, user)]


def recalls(connection: sql.Connection, population: Population, readers: int) -> list[list[str]]:
    rows = []
    titles = range(len(population.follows))
    for shown in SHOWN:
        made = list(trials(population, shown))
        ours = mean(trial.recall(suggested(connection, trial)) for trial in made)
        popular = mean(t.recall([i for i in titles if i not in t.shown]) for t in made)
        chance = mean(trial.recall(population.dice.sample(titles, TOP)) for trial in made)
        rows.append([str(readers), str(shown), *(f"{n:.3f}" for n in (ours, popular, chance))])
    return rows


def time_statement(url: str, seed: int) -> list[list[str]]:
    population = make_population(seed, LARGE_TITLES)
    with sql.connect(url) as connection:
        fill(connection, population)
        libraries = [population.make_library(LARGE_LENGTH) for _ in range(LARGE)]
        add_readers(connection, 1, libraries)
        wholes, statements = [], []
        for n in range(1, 51):
            user = User(UUID(int=n), "reader")
            began_s = time.perf_counter()
            suggestions.find_alike(connection, user)
            statements.append((time.perf_counter() - began_s) * 1000)
            began_s = time.perf_counter()
            suggestions.make_suggestions(connection, user)
            wholes.append((time.perf_counter() - began_s) * 1000)
    return [
        [what, f"{median(ms):.0f}", f"{quantiles(ms, n=20)[-1]:.0f}"]
        for what, ms in (("the statement", statements), ("all of it", wholes))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    with server() as server_url:
        population = make_population(seed)
        rows = []
        with sql.connect(new_database(server_url, "tastes")) as connection:
            fill(connection, population)
            known = 0
            for readers in READERS:
                lengths = [population.dice.choice(LENGTHS) for _ in range(readers - known)]
                add_readers(connection, known + 1, [population.make_library(n) for n in lengths])
                known = readers
                rows += recalls(connection, population, readers)
        header = ["readers", "titles shown", "suggested", "most followed", "at random"]
        print_table(f"recall@{TOP}, {TESTED} readers a row, seed {seed}", header, rows)
        times = time_statement(new_database(server_url, "large"), seed)
        print_table(
            f"{LARGE:,} readers, {LARGE_LENGTH} titles each", ["ms", "median", "95 %"], times
        )


if __name__ == "__main__":
    main()
