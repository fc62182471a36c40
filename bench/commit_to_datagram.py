"""From the commit of an event to its datagram at the reader, over relay and server.

    python -m bench.commit_to_datagram [--events 300]

A transaction that writes one event is committed and wakes the relay of a run, which posts the
event; the server stores a notification and sends it. Target: 99 of 100 within 100 ms.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from batch import config
from batch.delivery.background import BackgroundRelay
from batch.models import OutboxEvent
from batch.store.outbox import add_events
from bench.harness import new_database, print_table, server
from bench.notify_clients import Crowd
from bench.notify_push import Bench
from mangahub.env import Env


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=300)
    events = parser.parse_args().events
    with server() as server_url:
        bench = Bench(new_database(server_url, "bench"))
        try:
            times_ms = sorted(measure(bench, events))
        finally:
            bench.close()
    hundredths = quantiles(times_ms, n=100)
    row = [str(events), f"{hundredths[49]:.1f}", f"{hundredths[98]:.1f}", f"{times_ms[-1]:.1f}"]
    header = ["events", "p50 ms", "p99 ms", "longest ms", "to reach"]
    print_table("from commit to datagram", header, [[*row, "p99 ≤ 100 ms"]])


def measure(bench: Bench, events: int) -> list[float]:
    crowd = bench.crowd(bench.set_users(1))
    url = f"http://{bench.http[0]}:{bench.http[1]}"
    settings = config.load(Env({"UDP_SERVER_URL": url, "MANGAHUB_DATA": str(Path.cwd())}))
    relay = BackgroundRelay(settings, bench.url)
    try:
        crowd.read(1, 0.5)  # until the relay listens
        return [time_one(bench, crowd, number) for number in range(events)]
    finally:
        relay.finish()
        crowd.close()


def time_one(bench: Bench, crowd: Crowd, number: int) -> float:
    news = {"manga_id": 1, "title": "A Title", "chapter": number}
    event = OutboxEvent("new-chapter", 1, f"bench:{number}", news)
    with bench.connection.transaction():
        add_events(bench.connection, [event])
    committed = perf_counter()
    found, arrived = crowd.read(1, 5)
    if found != 1:
        raise SystemExit(f"event {number} did not arrive")
    return 1000 * (arrived - committed)


if __name__ == "__main__":
    main()
