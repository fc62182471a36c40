"""Measures readers' channels: throughput, memory, and what ingest and UDP feel of them.

    python -m bench.channels [beside] [webhook] [ntfy] [--channels N] [--events N] [--latency MS]

Starts a PostgreSQL, a notification server, senders and a server that accepts everything, and prints
what it finds. Runs with and without a sender alternate; on a busy machine compare the fastest.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import sql
from bench.notify_clients import Crowd
from bench.notify_push import SECRET, Bench, Poster
from mangahub.env import Env
from sql import embedded

ROOT = Path(__file__).resolve().parent.parent
RUNS = 15
_SERVERS = 8  # addresses of the loopback network, as a sender spreads over servers
_PATIENCE_S = 300.0
_KINDS = {
    "webhook": "webhook:http://127.0.0.{server}:{port}/{number}",
    "ntfy": "ntfy://127.0.0.{server}:{port}/t{number}",
}


class Receiver:
    """A process that accepts everything after a latency, and notes when it came."""

    def __init__(self, latency_s: float) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_receive, args=(theirs, latency_s))
        self._process.start()
        self.port = int(self._pipe.recv())

    def arrivals(self) -> list[float]:
        """Return when each request came since this was last asked."""
        self._pipe.send("arrivals")
        return list(self._pipe.recv())

    def wait(self, number: int) -> list[float]:
        found: list[float] = []
        deadline = perf_counter() + _PATIENCE_S
        while len(found) < number and perf_counter() < deadline:
            sleep(0.05)
            found += self.arrivals()
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


def _receive(pipe: Connection, latency_s: float) -> None:
    os.nice(19)  # elsewhere in real life: it is to take nothing from what is measured
    asyncio.run(_serve(pipe, latency_s))


async def _serve(pipe: Connection, latency_s: float) -> None:
    arrivals: list[float] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(x.split(b":")[1]) for x in lines if x.startswith(b"content-le")), 0)
        await reader.readexactly(length)
        arrivals.append(perf_counter())
        await asyncio.sleep(latency_s)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "0.0.0.0", 0, backlog=1_024)
    pipe.send(server.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    while True:
        await loop.run_in_executor(None, pipe.recv)
        found, arrivals[:] = arrivals[:], []
        pipe.send(found)


@contextmanager
def sender(url: str) -> Iterator[int]:
    """Run a sender; yield its process id."""
    env = {**os.environ, "DATABASE_URL": url, "NOTIFY_CHANNELS_PRIVATE": "on"}
    env |= {"NOTIFY_SECRET": SECRET, "LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "notify_server", "channels"], cwd=ROOT, env=env
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(15)


def add_channels(bench: Bench, kind: str, port: int) -> None:
    address = _KINDS[kind]
    numbers = bench.connection.execute("SELECT id FROM users ORDER BY username").fetchall()
    for number, (user,) in enumerate(numbers):
        place = {"server": number % _SERVERS + 1, "port": port, "number": number}
        bench.connection.execute(
            "WITH added AS (INSERT INTO reader_channels (user_id, kind, address, server, secret)"
            " VALUES (%s, %s, %s, %s, 'whsec_c2VjcmV0') RETURNING id)"
            " INSERT INTO channel_deliveries (channel_id, last_id)"
            " SELECT id, (SELECT coalesce(max(id), 0) FROM notifications) FROM added",
            [user, kind, address.format(**place), f"127.0.0.{place['server']}:{port}"],
        )


def tree_pss_mb(pid: int) -> float:
    """Return the memory of a process and its children, what they share counted once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for each in (str(pid), *children):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(text.split("\nPss:")[1].split()[0])
    return total / 1024


def throughput(bench: Bench, receiver: Receiver, kind: str, channels: int, events: int) -> str:
    """Store all at once, and wait until the last message has come."""
    bench.set_users(channels)
    add_channels(bench, kind, receiver.port)
    receiver.arrivals()
    with sender(bench.url) as pid:
        sleep(2)
        poster, started = Poster(bench), perf_counter()
        for _ in range(events):
            poster.post()
        poster.close()
        peak, done = [tree_pss_mb(pid)], threading.Event()
        watch = threading.Thread(target=_watch, args=(pid, peak, done))
        watch.start()
        found = receiver.wait(channels * events)
        done.set()
        watch.join()
    spans = sorted(moment - started for moment in found)
    rate = len(spans) / spans[-1]
    return (
        f"{kind}: {len(spans)} of {channels * events} messages in {spans[-1]:.1f} s, {rate:.0f} a"
        f" second; each channel's first after p50 {spans[channels // 2]:.2f} s; {max(peak):.0f} MB"
        " (PSS, all processes)"
    )


def _watch(pid: int, peak: list[float], done: threading.Event) -> None:
    while not done.wait(0.5):
        peak.append(tree_pss_mb(pid))


def alone_and_beside(bench: Bench, receiver: Receiver, channels: int, backlog: int) -> str:
    """Measure an event to all readers over UDP, with a sender that is busy and without one."""
    crowd = bench.crowd(bench.set_users(channels))
    add_channels(bench, "webhook", receiver.port)
    spans: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for run in range(2 * (RUNS + 1)):
        is_beside = bool(run % 2)
        receiver.arrivals()
        if is_beside:
            with sender(bench.url):
                _post(bench, crowd, channels, backlog)
                receiver.wait(channels // 4)
                found = _post(bench, crowd, channels, 1)
        else:
            _post(bench, crowd, channels, backlog)
            found = _post(bench, crowd, channels, 1)
        bench.connection.execute(
            "UPDATE channel_deliveries SET sending_id = NULL,"
            " last_id = (SELECT max(id) FROM notifications)"
        )
        if run > 1:
            spans[is_beside].append(found)
    crowd.close()
    lines = []
    for place, name in enumerate(("202", "last datagram")):
        alone, beside = ([s[place] * 1e3 for s in spans[each]] for each in (False, True))
        lines.append(
            f"{name} alone {median(alone):.1f} ms, beside {median(beside):.1f} ms:"
            f" {median(beside) / median(alone):.2f} times; the fastest {min(alone):.1f} and"
            f" {min(beside):.1f} ms: {min(beside) / min(alone):.2f} times"
        )
    return f"1 event to {channels} clients, {backlog} events before it: {'; '.join(lines)}"


def _post(bench: Bench, crowd: Crowd, channels: int, events: int) -> tuple[float, float]:
    """Post events; return the seconds to the last 202, and to the last datagram."""
    crowd.forget()
    poster, started, ended = Poster(bench), perf_counter(), [0.0]

    def post() -> None:
        for _ in range(events):
            poster.post()
        ended[0] = perf_counter()

    thread = threading.Thread(target=post)
    thread.start()
    found, last = crowd.read(channels * events, 30)
    thread.join()
    poster.close()
    assert found == channels * events, found
    bench.wait_marked(crowd)
    return ended[0] - started, last - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    scenarios = ("beside", *_KINDS)
    parser.add_argument("scenario", nargs="*", choices=[*scenarios, []], default=[])
    parser.add_argument("--channels", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=10)
    parser.add_argument("--latency", type=int, default=50, help="of the receiver, in ms")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mangahub-bench-"))
    folder.chmod(0o755)
    receiver = Receiver(given.latency / 1000)
    try:
        embedded.ensure_running(folder, Env({}))
        url = embedded.places(folder).url("postgres", "postgres")
        sql.migrate(url)
        bench = Bench(url)
        print(f"{given.channels} channels, receiver's latency {given.latency} ms", flush=True)
        for name in given.scenario or scenarios:
            if name == "beside":
                print(alone_and_beside(bench, receiver, given.channels, 3), flush=True)
            else:
                print(throughput(bench, receiver, name, given.channels, given.events), flush=True)
        bench.close()
    finally:
        receiver.close()
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
