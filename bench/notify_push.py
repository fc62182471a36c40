"""Measures the notification server: fan-out, acknowledgement, subscription, replay, memory.

    python -m bench.notify_push [SCENARIO…]

Starts a PostgreSQL, a server and the load generator of its own, and prints a table.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time

import sql
from bench.notify_clients import Crowd
from mangahub.env import Env
from sql import embedded

ROOT = Path(__file__).resolve().parent.parent
SECRET = "benchmark-secret-of-good-length"
RUNS = 5
CHAPTER: dict[str, object] = {"chapter": 21, "old_chapter": 20, "language": "en"}


class Bench:
    """A database with users, a server, and connections to both."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = sql.connect(url)
        self.process, self.http, self.udp = _start_server(url)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(15)
        self.connection.close()

    def set_users(self, count: int) -> list[str]:
        """Make exactly so many users, no notifications, and one title that all of them read."""
        _empty(self.connection)
        run = self.connection.execute
        run("INSERT INTO users (username) SELECT 'u' || n FROM generate_series(1, %s) n", (count,))
        run("INSERT INTO manga (id, slug, title) VALUES (1, 'a', 'A Title')")
        run("INSERT INTO user_library (user_id, manga_id) SELECT id, 1 FROM users")
        run("VACUUM ANALYZE users, user_library, notifications, manga")
        return [str(r[0]) for r in run("SELECT id FROM users").fetchall()]

    def set_preferences(self, wanted: bool) -> None:
        """Give a third of the users preferences and progress, or none of them."""
        run = self.connection.execute
        run("TRUNCATE reader_preferences, user_progress")
        if wanted:
            third = "FROM (SELECT id, row_number() OVER () AS n FROM users) AS u WHERE n % 3 = 0"
            run(
                "INSERT INTO reader_preferences (user_id, languages, blocked_groups)"
                f" SELECT id, '{{en,vi}}', ARRAY[gen_random_uuid()] {third}".encode()
            )
            run(
                "INSERT INTO user_progress (user_id, manga_id, current_chapter)"
                f" SELECT id, 1, n % 20 {third}".encode()
            )
        run("VACUUM ANALYZE reader_preferences, user_progress")

    def keys(self) -> dict[str, str]:
        answer = subprocess.run(
            [sys.executable, "-m", "notify_server", "key", "--all", "--json"],
            cwd=ROOT,
            env=_env(self.url),
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(json.loads(answer.stdout.splitlines()[-1]))

    def crowd(self, users: list[str]) -> Crowd:
        crowd = Crowd(self.udp, self.keys())
        crowd.open(users)
        crowd.subscribe()
        return crowd

    def wait_marked(self, crowd: Crowd) -> float:
        """Return the seconds until nothing is unread; the clients go on reading."""
        started = perf_counter()
        while self._unread() and perf_counter() - started < 20:
            crowd.read(1, 0.01)
        return perf_counter() - started

    def _unread(self) -> bool:
        query = "SELECT EXISTS (SELECT FROM notifications WHERE read IS NOT TRUE)"
        row = self.connection.execute(query).fetchone()
        return bool(row and row[0])

    def memory_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def metric(self, name: str) -> float:
        connection = http.client.HTTPConnection(*self.http)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return next(float(x.split()[-1]) for x in lines if x.startswith(f"mangahub_notify_{name} "))


def _empty(connection: sql.Connection) -> None:
    """Forget all events; a running server that knows of some takes that for a failover."""
    connection.execute("TRUNCATE users, manga, notifications, notification_receipts CASCADE")


def _env(url: str) -> dict[str, str]:
    own = {"DATABASE_URL": url, "NOTIFY_SECRET": SECRET, "UDP_PORT": "0", "UDP_HTTP_PORT": "0"}
    return {**os.environ, **own, "LOG_LEVEL": "WARNING"}


def _start_server(
    url: str,
) -> tuple[subprocess.Popen[str], tuple[str, int], tuple[str, int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "notify_server", "serve", "--json"],
        cwd=ROOT,
        env=_env(url),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    http_host, http_port = line["http"].rsplit(":", 1)
    udp_host, udp_port = line["udp"].rsplit(":", 1)
    return process, (http_host, int(http_port)), (udp_host, int(udp_port))


class Cpu:
    """CPU seconds of the server, of the load generator and of PostgreSQL since it was made.

    On a shared machine these say more than the clock.
    """

    def __init__(self, bench: Bench) -> None:
        self._pid = bench.process.pid
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        tick = os.sysconf("SC_CLK_TCK")
        postgres = sum(_ticks(p) for p in Path("/proc").glob("[0-9]*") if _is_postgres(p))
        return _ticks(Path(f"/proc/{self._pid}")) / tick, process_time(), postgres / tick

    def __str__(self) -> str:
        used = [b - a for a, b in zip(self._start, self._now(), strict=True)]
        return f"CPU server {used[0]:.2f} s, clients {used[1]:.2f} s, PostgreSQL {used[2]:.2f} s"


def _ticks(process: Path) -> int:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _is_postgres(process: Path) -> bool:
    try:
        return (process / "cmdline").read_bytes().startswith(b"postgres: mangahub mangahub")
    except OSError:
        return False


class Poster:
    """Posts events over one kept connection."""

    def __init__(self, bench: Bench) -> None:
        self._connection = http.client.HTTPConnection(*bench.http)

    def post(self, kind: str = "new-manga", **fields: object) -> None:
        given = {"manga_id": 1, "title": "A Title", "event_id": uuid.uuid4().hex, **fields}
        body = json.dumps(given)
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/notify/{kind}", body, headers)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 202, answer.status

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _posting(bench: Bench, events: int) -> Iterator[list[float]]:
    """Post in a thread; the list holds each POST's start, and at last the end."""
    times: list[float] = []

    def post() -> None:
        poster = Poster(bench)
        for _ in range(events):
            times.append(perf_counter())
            poster.post()
        times.append(perf_counter())
        poster.close()

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield times
    finally:
        thread.join()


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


Row = tuple[str, str, str]


def one_event(bench: Bench, clients: int, goal_ms: int) -> Iterator[Row]:
    users = bench.set_users(clients)
    crowd = bench.crowd(users)
    spans, stored, lost, delays = [], [], 0, []
    cpu = Cpu(bench)
    for run in range(RUNS + 1):
        crowd.forget()
        with _posting(bench, 1) as times:
            found, last = crowd.read(clients, 10)
        lost += clients - found
        bench.wait_marked(crowd)
        if run:  # the first one warms up
            spans.append(last - times[0])
            stored.append(times[1] - times[0])
            delays += [r.arrivals[0] - times[0] for r in crowd.readers if r.arrivals]
    used = str(cpu)
    crowd.close()
    delays.sort()
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    detail = f"p50 {_ms(p50)}, p99 {_ms(p99)}, 202 after {_ms(statistics.median(stored))}"
    name = f"1 event, {clients} clients, last datagram (≤ {goal_ms} ms)"
    yield name, _ms(statistics.median(spans)), f"{detail}, lost {lost}; {RUNS + 1} runs: {used}"


def preferences(bench: Bench, clients: int) -> Iterator[Row]:
    """Measure a chapter's event with preferences and without, one after the other."""
    crowd = bench.crowd(bench.set_users(clients))
    groups = [{"id": str(uuid.uuid4()), "name": "A Group"}]
    poster, spans = Poster(bench), dict[bool, list[float]]({False: [], True: []})
    for run in range(2 * (RUNS + 1)):
        wanted = bool(run % 2)
        bench.set_preferences(wanted)
        crowd.forget()
        started = perf_counter()
        thread = threading.Thread(
            target=poster.post, args=("new-chapter",), kwargs=CHAPTER | {"groups": groups}
        )
        thread.start()
        found, last = crowd.read(clients, 10)
        thread.join()
        assert found == clients, found
        bench.wait_marked(crowd)
        if run > 1:
            spans[wanted].append(last - started)
    poster.close()
    crowd.close()
    none, third = (statistics.median(spans[wanted]) for wanted in (False, True))
    name = f"1 chapter, {clients} readers, a third with preferences and progress"
    yield name, _ms(third), f"without {_ms(none)}: {third / none:.2f} times (≤ 1.1)"


def many_events(bench: Bench, events: int, clients: int) -> Iterator[Row]:
    users = bench.set_users(clients)
    crowd = bench.crowd(users)
    spans, marked, ends = [], [], []
    lost = repeated = 0
    cpu = Cpu(bench)
    before = bench.metric("retransmitted_total"), bench.metric("clients_dropped_total")
    for run in range(RUNS + 1):
        crowd.forget()
        with _posting(bench, events) as times:
            found, last = crowd.read(events * clients, 30)
        lost += events * clients - found
        if run:
            ends.append(times[-1] - times[0])
            spans.append(last - times[0])
            marked.append(bench.wait_marked(crowd))
        else:
            bench.wait_marked(crowd)
        crowd.read(1, 0.3)
        repeated += sum(len(r.ids) - len(set(r.ids)) for r in crowd.readers)
    resent = bench.metric("retransmitted_total") - before[0]
    dropped = bench.metric("clients_dropped_total") - before[1]
    used = str(cpu)
    crowd.close()
    yield (
        f"{events} events, {clients} clients, last datagram",
        _ms(statistics.median(spans)),
        f"last 202 after {_ms(statistics.median(ends))}, all marked "
        f"{_ms(statistics.median(marked))} later, lost {lost}, twice {repeated}, "
        f"resent {resent:.0f}, clients dropped {dropped:.0f}; {RUNS + 1} runs: {used}",
    )


def subscribing(bench: Bench) -> Iterator[Row]:
    users = bench.set_users(1000)
    keys = bench.keys()
    spans = []
    for _ in range(RUNS):
        crowd = Crowd(bench.udp, keys)
        crowd.open(users)
        spans.append(crowd.subscribe())
        crowd.close()
    yield "1000 clients subscribing at once, all confirmed", _ms(statistics.median(spans)), ""


def replaying(bench: Bench) -> Iterator[Row]:
    users = bench.set_users(1)
    keys = bench.keys()
    spans, is_ordered = [], True
    for _ in range(RUNS):
        bench.connection.execute(
            "TRUNCATE notifications, notification_receipts, notification_portions"
        )
        poster = Poster(bench)
        for _ in range(500):
            poster.post()
        poster.close()
        crowd = Crowd(bench.udp, keys)
        crowd.open(users)
        started = perf_counter()
        crowd.subscribe()
        found = len(crowd.readers[0].ids)
        _, last = crowd.read(500 - found, 5)
        spans.append(last - started)
        crowd.read(1, 0.2)
        ids = crowd.readers[0].ids
        is_ordered = is_ordered and ids == sorted(set(ids)) and len(ids) == 500
        crowd.close()
    note = "in order, none twice" if is_ordered else "NOT IN ORDER OR INCOMPLETE"
    yield "500 unread replayed at SUBSCRIBE (≤ 200 ms)", _ms(statistics.median(spans)), note


def silent_client(bench: Bench) -> Iterator[Row]:
    """Measure a client that never acknowledges, beside 100 that do."""
    users = bench.set_users(101)
    crowd = bench.crowd(users)
    for acknowledging in (True, False):
        crowd.readers[0].acknowledges = acknowledging
        crowd.forget()
        with _posting(bench, 60) as times:
            crowd.read(60 * 100 + (60 if acknowledging else 32), 10)
        last = max(r.arrivals[-1] for r in crowd.readers[1:])
        name = "60 events, 101 clients" + ("" if acknowledging else ", one of them never ACKs")
        yield name, _ms(last - times[0]), "last datagram of the others"
        bench.connection.execute(
            "TRUNCATE notifications, notification_receipts, notification_portions"
        )
    crowd.close()


def memory(bench: Bench) -> Iterator[Row]:
    for count in (0, 1000, 10000):
        _restart(bench)
        users = bench.set_users(count)
        crowd = bench.crowd(users)
        idle = bench.memory_mb()
        if count:
            with _posting(bench, 1):
                crowd.read(count, 10)
            bench.wait_marked(crowd)
        after = f"{bench.memory_mb():.0f} MB after an event"
        crowd.close()
        yield f"memory with {count} clients (≤ 100 MB)", f"{idle:.0f} MB", after


def _restart(bench: Bench) -> None:
    bench.process.terminate()
    bench.process.wait(15)
    _empty(bench.connection)
    bench.process, bench.http, bench.udp = _start_server(bench.url)


SCENARIOS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "one-1": lambda b: one_event(b, 1, 5),
    "one-1000": lambda b: one_event(b, 1000, 40),
    "one-5000": lambda b: one_event(b, 5000, 150),
    "one-10000": lambda b: one_event(b, 10000, 300),
    "preferences-1000": lambda b: preferences(b, 1000),
    "preferences-10000": lambda b: preferences(b, 10000),
    "100x1000": lambda b: many_events(b, 100, 1000),
    "20x5000": lambda b: many_events(b, 20, 5000),
    "subscribe": subscribing,
    "replay": replaying,
    "silent": silent_client,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    chosen = parser.parse_args().scenario or list(SCENARIOS)
    folder = Path(tempfile.mkdtemp(prefix="mangahub-bench-"))
    folder.chmod(0o755)
    try:
        url = embedded.ensure_running(folder, Env({}))
        sql.migrate(url)
        for name in chosen:
            with sql.connect(url) as connection:
                _empty(connection)
            bench = Bench(url)
            for row in SCENARIOS[name](bench):
                print(f"{row[0]:<58} {row[1]:>11}  {row[2]}", flush=True)
            bench.close()
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
