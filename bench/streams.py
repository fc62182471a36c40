"""Streams: from the commit of an event to its last reader, memory a stream, and pages beside them.

    python -m bench.streams [--streams 500 5000] [--events 40] [--pages 10]

The website runs as users have it, over an embedded PostgreSQL. All streams are read in this
process, so the time until the last one includes reading the others. Medians, and the worst.
For comparison, as measured for the design of the site: one asyncio process took 7–12 ms for 500
streams and 73–75 ms for 5,000; in the pages' own process pages became 33–106 times slower.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from uuid import UUID, uuid4

import sql
from bench.harness import ROOT, family, middle, new_database, print_table, pss_mb, server
from notify_server.events.validation import parse_event
from notify_server.store.notifications import store_event
from website.security.tickets import Ticket, make_ticket

SECRET = "a secret of the benchmark"
PER_ADDRESS = 60
WARM_UP = 100  # streams before memory is counted: the first ones load what all need
PATIENCE_S = 30.0
PAGES_PER_SECOND = 20


class Crowd:
    """Streams that are read together, by one epoll."""

    def __init__(self, address: tuple[str, int], readers: Sequence[UUID | None]) -> None:
        self._poll = select.epoll()
        self._socks: dict[int, socket.socket] = {}
        for i, reader in enumerate(readers):
            sock = socket.create_connection(address)
            ticket = make_ticket(SECRET, Ticket(reader), time.time())
            network = i // PER_ADDRESS
            sock.sendall(
                f"GET /events?ticket={ticket} HTTP/1.1\r\nHost: x\r\n"
                f"X-Forwarded-For: 10.0.{network // 250}.{network % 250}\r\n\r\n".encode()
            )
            self._socks[sock.fileno()] = sock
            self._poll.register(sock.fileno(), select.EPOLLIN)
        self.await_all(b"id: ")

    def await_all(self, text: bytes) -> float:
        """Wait until each stream has sent the text; return when the last one had."""
        waiting = set(self._socks)
        deadline_s = time.monotonic() + PATIENCE_S
        while waiting:
            for handle, _ in self._poll.poll(1.0):
                data = self._socks[handle].recv(65_536)
                assert data, "a stream was closed"
                if text in data:
                    waiting.discard(handle)
            assert time.monotonic() < deadline_s, f"{len(waiting)} streams heard nothing"
        return time.perf_counter()

    def close(self) -> None:
        self._poll.close()
        for sock in self._socks.values():
            sock.close()


@contextmanager
def website(database_url: str, folder: str) -> Iterator[tuple[int, dict[str, tuple[str, int]]]]:
    """Start the website; yield the process id of the streams, and the addresses."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "MANGAHUB_DATA": folder,
        "NOTIFY_SECRET": SECRET,
        "WEB_PORT": "0",
        "WEB_STREAM_PORT": "0",
        "WEB_PROXIES": "1",
        "WEB_COVERS_MB": "0",
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "website", "serve", "--json"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = json.loads(process.stdout.readline())
        addresses = {
            name: (where.rpartition(":")[0], int(where.rpartition(":")[2]))
            for name, where in found.items()
        }
        with closing(HTTPConnection(*addresses["streams"])) as probe:  # until it answers
            probe.request("GET", "/healthz")
            probe.getresponse().read()
        yield family(process.pid)[-1], addresses
    finally:
        process.terminate()
        process.wait(15)
        process.stdout.close()


def publish(connection: sql.Connection, manga_id: int, number: int) -> float:
    """Store an event as the notification server does; return when it was committed."""
    body = {"manga_id": manga_id, "title": "Blue Lantern", "chapter": number}
    store_event(connection, parse_event("new-chapter", body, str(uuid4())))
    return time.perf_counter()


class Browsing:
    """Somebody who asks for pages, so many a second."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._stopped = threading.Event()
        self.took_ms: list[float] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with closing(HTTPConnection(*self._address)) as http:
            while not self._stopped.wait(1 / PAGES_PER_SECOND):
                began_s = time.perf_counter()
                http.request("GET", "/")
                http.getresponse().read()
                self.took_ms.append((time.perf_counter() - began_s) * 1000)

    def stop(self) -> float:
        """Return the 99th of a hundred times."""
        self._stopped.set()
        self._thread.join()
        return sorted(self.took_ms)[int(len(self.took_ms) * 0.99)]


def measure(database_url: str, folder: str, count: int, events: int, of_readers: bool) -> list[str]:
    """Return a row of the table."""
    with sql.connect(database_url, "bench") as connection:
        manga_id, readers = prepare(connection, count if of_readers else 0)
        with website(database_url, folder) as (pid, addresses):
            Crowd(addresses["streams"], [None] * WARM_UP).close()
            before_mb = pss_mb(pid)
            crowd = Crowd(addresses["streams"], readers or [None] * count)
            time.sleep(2.0)
            held_kb = (pss_mb(pid) - before_mb) * 1024 / count
            took_ms, before_s = [], cpu_s(pid)
            for number in range(1, events + 1):
                committed_s = publish(connection, manga_id, number)
                took_ms.append((crowd.await_all(b'"chapter":%d' % number) - committed_s) * 1000)
                time.sleep(0.05)
            worked_ms = (cpu_s(pid) - before_s) * 1000 / events
            crowd.close()
    whose = "readers" if of_readers else "visitors"
    took = f"{middle(took_ms):.1f} ms", f"{max(took_ms):.1f} ms"
    return [f"{count:,}", whose, *took, f"{worked_ms:.1f} ms", f"{held_kb:.2f} KB"]


def cpu_s(pid: int) -> float:
    """Return what a process has worked, which says more than the clock on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_pages(database_url: str, folder: str, count: int, seconds: float) -> list[str]:
    """Return the pages' p99 without streams and with so many, while news comes."""
    found = []
    with sql.connect(database_url, "bench") as connection:
        manga_id, _ = prepare(connection, 0)
        with website(database_url, folder) as (_, addresses):
            for streams in (0, count):
                crowd = Crowd(addresses["streams"], [None] * streams)
                browsing = Browsing(addresses["http"])
                until_s = time.monotonic() + seconds
                number = 0
                while time.monotonic() < until_s:
                    number += 1
                    publish(connection, manga_id, number)
                    crowd.await_all(b'"chapter":%d' % number)
                    time.sleep(1.0)
                found.append(browsing.stop())
                crowd.close()
    return [f"{count:,}", *(f"{value:.1f} ms" for value in found), f"{found[1] / found[0]:.2f}"]


def prepare(connection: sql.Connection, readers: int) -> tuple[int, list[UUID]]:
    """Return a title, and new readers who follow it."""
    row = connection.execute(
        "INSERT INTO manga (slug, title) VALUES (%s, 'Blue Lantern') RETURNING id", [str(uuid4())]
    ).fetchone()
    assert row is not None
    rows = connection.execute(
        "WITH added AS (INSERT INTO users (username, email, password_hash)"
        "  SELECT %(prefix)s || n, %(prefix)s || n, '!' FROM generate_series(1, %(count)s) AS n"
        "  RETURNING id) INSERT INTO user_library (user_id, manga_id)"
        " SELECT id, %(manga)s FROM added RETURNING user_id",
        {"prefix": str(uuid4()), "count": readers, "manga": row[0]},
    ).fetchall()
    return int(row[0]), [id for (id,) in rows]


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--pages", type=float, default=10, metavar="SECONDS")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with server() as url:
        database_url = new_database(url, "streams")
        folder = re.sub(r"^.*host=([^&]*).*$", r"\1", url)
        rows = [
            measure(database_url, folder, count, options.events, of_readers)
            for count in options.streams
            for of_readers in (False, True)
        ]
        header = ["streams", "of", "to the last: median", "worst", "work", "memory a stream"]
        print_table("From the commit to the last stream", header, rows)
        pages = [measure_pages(database_url, folder, max(options.streams), options.pages)]
        header = ["streams", "p99 without", "p99 with", "times"]
        print_table(f"The page New at {PAGES_PER_SECOND} requests a second", header, pages)


if __name__ == "__main__":
    main()
