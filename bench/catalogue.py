"""Measures the catalogue: searches and lists over as many titles as MangaDex has.

    python -m bench.catalogue [--titles 85000] [--searches 400]

Starts a PostgreSQL of its own, fills it by SQL with names made of the stand-in's words, and prints
a table. Times are those of the statements, from this process.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

import sql
from bench.harness import new_database, server
from mangadex_sim.catalogue import words
from website.store import catalogue
from website.store.catalogue import Wanted

GOAL_MS = 50
ALL = [*words.ADJECTIVES, *words.CREATURES, *words.THINGS, *words.OBJECTS, *words.PLACES]


def fill(connection: sql.Connection, titles: int, rng: random.Random) -> float:
    """Make titles with four names each; return the seconds that indexing their names took."""
    names = [
        (n, language, " ".join(rng.sample(ALL, rng.randint(2, 4))) + made_word(rng))
        for n in range(1, titles + 1)
        for language in ("en", "ja-ro", "fr", "es")
    ]
    connection.execute("SET session_replication_role = replica")  # no triggers
    with connection.cursor() as cursor:
        with cursor.copy("COPY manga (id, slug, title, status) FROM STDIN") as copy:
            for n, _, name in names[::4]:
                copy.write_row((n, f"s{n}", name, rng.choice(catalogue.STATUSES)))
        with cursor.copy("COPY manga_titles (manga_id, language, title) FROM STDIN") as copy:
            for row in names:
                copy.write_row(row)
    connection.execute(
        "INSERT INTO genres (name) SELECT 'Genre ' || n FROM generate_series(1, 40) n"
    )
    connection.execute(
        "INSERT INTO manga_genres (manga_id, genre_id)"
        " SELECT m.id, g.id FROM manga m JOIN genres g ON (m.id * 7 + g.id) % 10 = 0"
    )
    connection.execute(
        "INSERT INTO title_popularity (manga_id, follows, asked_at)"
        " SELECT id, (100000 / id)::integer, now() FROM manga"
    )
    connection.execute("SET session_replication_role = origin")
    started = perf_counter()
    connection.execute("SELECT mangahub_index_names(array_agg(id)) FROM manga")
    took_s = perf_counter() - started
    connection.execute("VACUUM ANALYZE")
    return took_s


def made_word(rng: random.Random) -> str:
    """Return a word that few names have: a vocabulary has a long tail."""
    return " " + "".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(4))


def mistyped(word: str, rng: random.Random) -> str:
    """Return the word with one letter left out, doubled, replaced, or swapped with the next."""
    at = rng.randrange(1, len(word) - 1)
    head, letter, tail = word[:at], word[at], word[at + 1 :]
    kinds = (head + tail, head + 2 * letter + tail, head + "q" + tail, head + tail[:1] + letter)
    return rng.choice(kinds[:3]) if not tail[1:] else rng.choice([*kinds[:3], kinds[3] + tail[1:]])


def search(connection: sql.Connection, text: str) -> int:
    """Do what the page does; return how many titles it shows."""
    query = catalogue.read_query(connection, text)
    if query is None:
        return 0
    wanted = Wanted(query, text.lower(), sort="best")
    now = datetime.now(UTC)
    rows = catalogue.list_titles(connection, wanted, None, now, 41)
    if rows:
        return len(rows)
    nearest = catalogue.correct(connection, query)
    if not nearest or not all(nearest.values()):
        return 0
    corrected = " ".join(nearest[word][0] if word in nearest else word for word in query.words)
    found = catalogue.read_query(connection, corrected)
    return len(
        catalogue.list_titles(connection, Wanted(found, corrected, sort="best"), None, now, 41)
    )


def measure(name: str, searches: int, act: Callable[[], int]) -> None:
    times, found = list[float](), 0
    for _ in range(searches):
        started = perf_counter()
        found += bool(act())
        times.append((perf_counter() - started) * 1000)
    times.sort()
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99) - 1]
    share = f"{100 * found / searches:.0f} % with a result"
    print(f"{name:<34} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms (≤ {GOAL_MS})   {share}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--titles", type=int, default=85_000)
    parser.add_argument("--searches", type=int, default=400)
    given = parser.parse_args()
    rng = random.Random(1)
    with server() as place, sql.connect(new_database(place, "catalogue")) as connection:
        took_s = fill(connection, given.titles, rng)
        print(f"{given.titles} titles, names indexed in {took_s:.1f} s", flush=True)
        vocabulary = [w for (w,) in connection.execute("SELECT word FROM title_words").fetchall()]
        now = datetime.now(UTC)

        def listed(**wanted: object) -> int:
            return len(catalogue.list_titles(connection, Wanted(**wanted), None, now, 41))  # type: ignore[arg-type]

        n = given.searches
        measure("prefix", n, lambda: search(connection, rng.choice(vocabulary)[:3]))
        measure("two words", n, lambda: search(connection, " ".join(rng.sample(ALL, 2))))
        measure("typo", n, lambda: search(connection, mistyped(rng.choice(vocabulary), rng)))
        measure("nothing found", n, lambda: search(connection, "qx" + rng.choice(vocabulary)[::-1]))
        measure("a genre, newest", n, lambda: listed(genre=f"Genre {rng.randint(1, 40)}"))
        measure("a genre, most followed", n, lambda: listed(genre="Genre 7", sort="followed"))
        measure("by title", n, lambda: listed(sort="title", after=(rng.choice(ALL), 1)))
        measure(
            "counts (once in ten minutes)", 5, lambda: catalogue.count_titles(connection).titles
        )


if __name__ == "__main__":
    main()
