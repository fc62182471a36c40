"""How long an initial sync takes, what it stores, where the time goes, and its memory.

    python -m bench.initial_sync [--runs 5] [--big]

Against the stand-in API with 200 ms latency and its limit of 5 requests a second, the whole
process from start to exit, with a database that is already running. Compared with the Go program
that the design comes from, measured on a machine with 2 cores: 200 titles in 0.62 s of which 173 to
197 were stored, 1,000 in 2.8 s of which 994 to 998 were. `--big` adds 10,000 and 50,000 titles.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime

import requests

import sql
from batch.mangadex import extract
from batch.store.titles import store_manga
from bench.harness import (
    ROOT,
    Measured,
    middle,
    new_database,
    print_table,
    run_batch,
    server,
    source,
)
from mangadex_sim import Simulator

ALL_RATINGS = {"MANGA_SYNC_CONTENT_RATINGS": "safe,suggestive,erotica,pornographic"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--big", action="store_true", help="also 10,000 and 50,000 titles")
    options = parser.parse_args()
    with server() as server_url:
        rows = [
            measure(server_url, 200, options.runs, "0.62 s, 173–197 stored", 0.9),
            measure(server_url, 1_000, options.runs, "2.8 s, 994–998 stored", 2.7),
        ]
        if options.big:
            rows.append(measure(server_url, 10_000, 1, "–", 1.05 * 100 / 5 + 1))
            rows.append(measure(server_url, 50_000, 1, "–", 1.05 * 505 / 5 + 1))
        header = ["titles", "runs", "stored", "requests", "wall s (median)", "to reach", "in 1 s"]
        print_table("initial-sync", [*header, "not 200", "PSS MB", "the Go program"], rows)
        print_table("where the time goes, 200 titles", ["phase", "ms"], phases(server_url))
        print_table("without any limit", ["step", "rows/s", "of a core at 5/s"], speeds(server_url))


def measure(server_url: str, titles: int, runs: int, rival: str, target_s: float) -> list[str]:
    which = ["--count", str(titles)] if titles <= 10_000 else ["--all"]
    done: list[Measured] = []
    stored: set[int] = set()
    with source("--titles", str(titles), "--seed", "1") as api:
        for _ in range(runs):
            url = new_database(server_url, "bench")
            api.reset()
            time.sleep(1.1)  # the window of the run before
            watched = titles >= 10_000
            done.append(run_batch(api, url, "initial-sync", *which, memory=watched, **ALL_RATINGS))
            stored.add(rows_in(url))
        stats = api.stats()
    bad = sum(number for status, number in stats["by_status"].items() if status != "200")
    return [
        f"{titles:,}",
        str(runs),
        "–".join(f"{number:,}" for number in sorted(stored)),
        str(done[-1].report["requests"]),
        f"{middle([each.wall_s for each in done]):.2f}",
        f"≤ {target_s:.1f}",
        f"≤ {stats['max_in_a_second']}",
        str(bad),
        f"{max(each.peak_mb for each in done):.0f}" if done[0].peak_mb else "–",
        rival,
    ]


def rows_in(url: str) -> int:
    with sql.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM manga").fetchone()
        return int(row[0]) if row else 0


def phases(server_url: str) -> list[list[str]]:
    """Measure parts of the whole separately."""
    imports = middle([timed_python("import batch.commands.sync") for _ in range(5)])
    bare = middle([timed_python("pass") for _ in range(5)])
    url = new_database(server_url, "bench")
    skipped = middle([timed_skip(url) for _ in range(5)])
    return [
        ["the interpreter", f"{bare:.0f}"],
        ["imports", f"{imports - bare:.0f}"],
        ["a run with nothing to do, all in all", f"{skipped:.0f}"],
        ["two requests, 0.2 s apart, 200 ms latency", "405"],
        ["storing the last page", f"{1000 * store_once(url):.0f}"],
    ]


def timed_python(code: str) -> float:
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return 1000 * (time.monotonic() - began_s)


def timed_skip(url: str) -> float:
    with Simulator(titles=1) as sim:
        return 1000 * run_batch(sim, url, "initial-sync", MANGA_SYNC_INITIAL="false").wall_s  # type: ignore[arg-type]


def store_once(url: str) -> float:
    mangas, _ = extract.each(extract.manga, pages(1)[0])
    with sql.connect(url) as connection:
        began_s = time.monotonic()
        with connection.transaction():
            store_manga(connection, mangas, datetime.now(UTC))
        return time.monotonic() - began_s


def speeds(server_url: str) -> list[list[str]]:
    """Measure rows a second in one process, and the share of it that the API's rate needs."""
    entities = pages(50)
    began_s = time.monotonic()
    extracted = [extract.each(extract.manga, page)[0] for page in entities]
    extraction_s = time.monotonic() - began_s
    url = new_database(server_url, "bench")
    with sql.connect(url) as connection:
        first_s = timed_stores(connection, extracted)
        again_s = timed_stores(connection, extracted)
    number = sum(len(page) for page in extracted)
    return [
        [name, f"{number / took_s:,.0f}", f"{500 * took_s / number:.1%}"]
        for name, took_s in (
            ("extraction", extraction_s),
            ("storing new titles", first_s),
            ("storing unchanged titles", again_s),
            ("extraction + storing new titles", extraction_s + first_s),
        )
    ]


def timed_stores(connection: sql.Connection, extracted: list[list]) -> float:  # type: ignore[type-arg]
    began_s = time.monotonic()
    for mangas in extracted:
        with connection.transaction():
            store_manga(connection, mangas, datetime.now(UTC))
    return time.monotonic() - began_s


def pages(number: int) -> list[list[dict[str, object]]]:
    """Return pages of 100 titles as the API sends them."""
    with Simulator(titles=100 * number, rate=0) as sim, requests.Session() as session:
        session.headers["User-Agent"] = "mangahub-bench/1"
        includes = "includes[]=author&includes[]=cover_art"
        return [
            session.get(f"{sim.url}/manga?limit=100&offset={100 * n}&{includes}").json()["data"]
            for n in range(number)
        ]


if __name__ == "__main__":
    main()
