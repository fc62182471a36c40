"""Measures the website's pages at 20 requests a second, over a catalogue as large as MangaDex's.

    python -m bench.pages [--titles 85000] [--requests 200]

Starts a PostgreSQL and `mangahub-web` of its own, fills the database by SQL with 200,000 chapters
and 1,000,000 notifications, and prints a table: latency of each page for a visitor, for a reader of
12 titles and one of 1,000; its bytes; and the memory of both processes, idle and after the load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

import requests

import sql
from bench.harness import new_database, server
from readers.sessions import open_session
from readers.users import User, add_user

GOAL_MS = 50
RATE = 20
CHAPTERS, NOTIFICATIONS, READERS = 200_000, 1_000_000, 1_000
COOKIE = "mangahub_session"
PATHS = (
    *("/", "/?scope=all", "/me/library", "/me/inbox", "/titles", "/titles/17", "/calendar"),
    *("/calendar?scope=all", "/feeds/all.atom", "/titles/17.atom"),
)


def fill(connection: sql.Connection, titles: int) -> dict[str, User]:
    """Make titles, days of release, chapters of the last ninety days, readers and their news."""
    connection.execute("SET session_replication_role = replica")  # no triggers
    connection.execute(
        "INSERT INTO manga (title, slug, status, mangadex_id, first_synced_at)"
        " SELECT 'Title ' || n, 's' || n, 'ongoing', gen_random_uuid(), now()"
        " FROM generate_series(1, %s) n",
        [titles],
    )
    connection.execute(
        "INSERT INTO chapters (manga_id, chapter_number, published_at, mangadex_chapter_id)"
        " SELECT 1 + (n * 7919::bigint) %% %s, n / %s + 1, now() - n * interval '39 s',"
        " gen_random_uuid() FROM generate_series(1, %s) n",
        [titles, titles, CHAPTERS],
    )
    connection.execute(
        "INSERT INTO release_days SELECT m, 'en', current_date - (m %% 7 + 7 * n)::integer"
        " FROM generate_series(1, %s) m, generate_series(0, 12) n",
        [titles],
    )
    connection.execute(
        "WITH g AS (INSERT INTO scanlation_groups SELECT gen_random_uuid(), 'Team ' || n"
        "  FROM generate_series(1, 500) n RETURNING id), l AS (SELECT array_agg(id) AS ids FROM g)"
        " INSERT INTO chapter_groups SELECT c.id, l.ids[1 + c.id % 500] FROM chapters c, l"
    )
    connection.execute(
        "INSERT INTO users (username, email) SELECT 'r' || n, 'r' || n || '@x'"
        " FROM generate_series(1, %s) n",
        [READERS],
    )
    few, many = (add_user(connection, name, None, None) for name in ("few", "many"))
    for user, count in ((few, 12), (many, 1_000)):
        connection.execute(
            "INSERT INTO user_library (user_id, manga_id)"
            " SELECT %s, 17 * n FROM generate_series(1, %s) n",
            [user.id, count],
        )
    connection.execute(
        "INSERT INTO notifications (user_id, type, manga_id, title, message, read, data)"
        " SELECT u.id, 'NEW_CHAPTER', 17 * (1 + n %% 1000), 'Title', 'New chapter available',"
        " n %% 20 > 0, jsonb_build_object('data', jsonb_build_object('chapter', n %% 3))"
        " FROM generate_series(1, %s) n JOIN (SELECT id, row_number() OVER () AS at FROM users) u"
        " ON u.at = 1 + n %% %s",
        [NOTIFICATIONS, READERS],
    )
    connection.execute("SET session_replication_role = origin")
    connection.execute("VACUUM ANALYZE")
    return {"visitor": few, "12 titles": few, "1,000 titles": many}


def measure(url: str, path: str, cookies: dict[str, str], number: int) -> None:
    """Ask for a page at an even rate, each request on a connection that is kept."""
    times, size = list[float](), 0
    with requests.Session() as http:
        http.cookies.update(cookies)
        if (first := http.get(url + path, timeout=30, allow_redirects=False)).status_code != 200:
            print(f"  {path:<14} {first.status_code}", flush=True)
            return
        began = perf_counter()
        for n in range(number):
            sleep(max(0.0, began + n / RATE - perf_counter()))
            started = perf_counter()
            size = len(http.get(url + path, timeout=30).content)
            times.append((perf_counter() - started) * 1000)
    times.sort()
    p50, p99 = statistics.median(times), times[int(number * 0.99) - 1]
    print(
        f"  {path:<14} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms (≤ {GOAL_MS})   {size / 1024:6.1f} KB",
        flush=True,
    )


def memory_mb(pid: int) -> float:
    """Return what the program's processes hold for themselves, shared pages by their share."""
    found = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    rollups = [Path(f"/proc/{each}/smaps_rollup").read_text().splitlines() for each in found]
    return sum(int(line.split()[1]) for r in rollups for line in r if line[:4] == "Pss:") / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--titles", type=int, default=85_000)
    parser.add_argument("--requests", type=int, default=200)
    given = parser.parse_args()
    with server() as place, tempfile.TemporaryDirectory() as data:
        url = new_database(place, "pages")
        with sql.connect(url) as connection:
            readers = fill(connection, given.titles)
            tokens = {name: open_session(connection, user, "") for name, user in readers.items()}
        environ = {**os.environ, "DATABASE_URL": url, "MANGAHUB_DATA": data}
        environ |= {
            "WEB_PORT": "0",
            "WEB_STREAM_PORT": "0",
            "LOG_LEVEL": "WARNING",
            "WEB_COVERS_MB": "0",
        }
        command = [sys.executable, "-m", "website", "serve", "--json"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as site:
            assert site.stdout
            address = f"http://{json.loads(site.stdout.readline())['http']}"
            try:
                requests.get(f"{address}/about", timeout=30)
                print(f"memory, idle: {memory_mb(site.pid):.0f} MB (≤ 120)", flush=True)
                for name, token in tokens.items():
                    print(name, flush=True)
                    for path in PATHS:
                        cookies = {} if name == "visitor" else {COOKIE: token}
                        measure(address, path, cookies, given.requests)
                print(f"memory, after the load: {memory_mb(site.pid):.0f} MB (≤ 200)", flush=True)
            finally:
                site.terminate()


if __name__ == "__main__":
    main()
