"""Measures one event to many users, few of whom are online, and chapters' events meanwhile.

    python -m bench.everybody [USERS]

Starts a PostgreSQL and a server of its own, and prints a table.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, sleep

import sql
from bench.harness import print_table
from bench.notify_clients import Crowd
from bench.notify_push import SECRET, Bench, Poster
from mangahub.env import Env
from readers.keys import derive_key
from sql import embedded

ONLINE = 500
READERS = 20  # of the title whose chapters come meanwhile
CHAPTERS = 8
_OTHER = 2


def measure(bench: Bench, count: int) -> list[tuple[str, str]]:
    users = sorted(bench.set_users(count))
    online = users[:: max(1, count // ONLINE)]
    run = bench.connection.execute
    run("INSERT INTO manga (id, slug, title) VALUES (%s, 'b', 'Another Title')", (_OTHER,))
    run(
        "INSERT INTO user_library (user_id, manga_id) SELECT unnest(%s::uuid[]), %s",
        (online[:READERS], _OTHER),
    )
    crowd = Crowd(bench.udp, {user: derive_key(SECRET, user, 0) for user in online})
    crowd.open(online)
    crowd.subscribe()
    accepted_s, others_s = [], list[float]()
    started = perf_counter()

    def post() -> None:
        poster = Poster(bench)
        poster.post()
        accepted_s.append(perf_counter() - started)
        for number in range(CHAPTERS):
            sleep(0.3)
            before = perf_counter()
            poster.post("new-chapter", manga_id=_OTHER, chapter=number)
            others_s.append(perf_counter() - before)
        poster.close()

    thread = threading.Thread(target=post)
    thread.start()
    found, first = crowd.read(1, 30)
    _, last = crowd.read(len(online) + CHAPTERS * READERS - found, 600)
    thread.join()
    memory = bench.memory_mb()
    crowd.close()
    return [
        ("202", f"{accepted_s[0] * 1000:.0f} ms"),
        ("first datagram", f"{(first - started) * 1000:.0f} ms"),
        ("last datagram", f"{last - started:.1f} s"),
        ("202 of a chapter to 20 readers meanwhile, longest", f"{max(others_s) * 1000:.0f} ms"),
        ("memory of the server", f"{memory:.0f} MB"),
    ]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    folder = Path(tempfile.mkdtemp(prefix="mangahub-bench-"))
    folder.chmod(0o755)
    try:
        url = embedded.ensure_running(folder, Env({}))
        sql.migrate(url)
        bench = Bench(url)
        try:
            print_table(f"One event to {count:,} users", ("", "measured"), measure(bench, count))
        finally:
            bench.close()
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
