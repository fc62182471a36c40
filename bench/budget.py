"""How well the budget is kept: how many requests reach the source in any second, how much is used.

    python -m bench.budget [--titles 10000] [--cases one two hosts cluster disturbed]

Counted where they arrive, at the stand-in API with 200 ms latency. `hosts` needs root: each run is
in a network namespace of its own, with one address of the source for both. `disturbed` is one run
beside a second one, whose processes are killed or stopped at random times; nothing must delay the
first one, so the longest gap between two arrivals counts.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

import sql
from bench.harness import (
    batch_environment,
    new_database,
    print_table,
    run_batch,
    server,
    source,
    start_batch,
)
from mangadex_sim import SimControl

SEED = 20261128
BRIDGE = "mhbench0"
NETWORK = "10.213.77"
STOPPED_S = 1.5
HEADER = ["case", "requests", "in 1 s", "used", "longest gap s", "not 200"]


@dataclass(frozen=True)
class Case:
    """A source and a database that knows half of its titles.

    Attributes:
        titles: of the source; one run imports the first half, another refreshes the second.
    """

    api: SimControl
    url: str
    titles: int

    def import_half(self, *prefix: str, executor: str = "local") -> None:
        which = ("initial-sync", "--count", str(self.titles // 2))
        run_batch(self.api, self.url, *which, prefix=prefix, MANGA_SYNC_EXECUTOR=executor)

    def refresh_half(self, *prefix: str) -> None:
        run_batch(self.api, self.url, "metadata-refresh", prefix=prefix)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--titles", type=int, default=10_000)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    rows = []
    with server() as server_url:
        for name in options.cases:
            rows.append([name, *measure(server_url, options.titles, name)])
            print("  ".join(rows[-1]), flush=True)
    print_table(f"budget of 5 a second, {options.titles:,} titles", HEADER, rows)


def measure(server_url: str, titles: int, name: str) -> list[str]:
    run, host = CASES[name]
    with ExitStack() as stack:
        if reason := stack.enter_context(namespaces()) if host != "127.0.0.1" else None:
            return ["–", "–", "–", "–", reason]
        api = stack.enter_context(source("--host", host, "--titles", str(titles), "--rate", "0"))
        case = Case(api, new_database(server_url, "bench"), titles)
        remember_second_half(case)
        run(case)
        return figures(api)


def remember_second_half(case: Case) -> None:
    """Give the database titles that an import of the first half does not ask for."""
    with sql.connect(case.url) as connection:
        connection.execute(
            "INSERT INTO manga (mangadex_id, slug, title)"
            " SELECT id, id, 'Title' FROM unnest(%s::uuid[]) AS id",
            [case.api.title_ids(case.titles // 2, case.titles // 2)],
        )


def figures(api: SimControl) -> list[str]:
    stats = api.stats()
    arrivals = stats["arrivals"]
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    bad = sum(number for status, number in stats["by_status"].items() if status != "200")
    used = len(gaps) / (arrivals[-1] - arrivals[0]) / 5
    return [
        str(len(arrivals)),
        str(stats["max_in_a_second"]),
        f"{used:.1%}",
        f"{max(gaps):.2f}",
        str(bad),
    ]


def one(case: Case) -> None:
    case.import_half()


def two(case: Case) -> None:
    at_once(case.import_half, case.refresh_half)


def hosts(case: Case) -> None:
    in_a, in_b = (("ip", "netns", "exec", f"mhbench-{host}") for host in "ab")
    at_once(lambda: case.import_half(*in_a), lambda: case.refresh_half(*in_b))


def cluster(case: Case) -> None:
    """Measure an import on a cluster of processes, and a local run beside it."""
    from distributed import LocalCluster  # an extra

    with LocalCluster(
        n_workers=2, threads_per_worker=3, host="127.0.0.1", dashboard_address=None
    ) as running:
        executor = running.scheduler_address.replace("tcp://", "dask://")
        at_once(lambda: case.import_half(executor=executor), case.refresh_half)


def disturbed(case: Case) -> None:
    """Measure an import, beside runs that are stopped and continued, or killed."""
    chance = random.Random(SEED)
    with ThreadPoolExecutor(1) as thread:
        undisturbed = thread.submit(case.import_half)
        time.sleep(1)  # it begins alone
        while not undisturbed.done():
            for number in (signal.SIGSTOP, signal.SIGKILL):
                disturb(case, number, chance.uniform(0.7, 1.7))
        undisturbed.result()


def disturb(case: Case, number: signal.Signals, after_s: float) -> None:
    """Start a run, send a signal to all its processes, and let what was stopped go on."""
    environment = batch_environment(case.api, case.url)
    with start_batch(environment, "metadata-refresh", own_group=True) as process:
        time.sleep(after_s)
        os.killpg(process.pid, number)
        time.sleep(STOPPED_S)
        if number == signal.SIGSTOP:
            os.killpg(process.pid, signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def at_once(*runs: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(runs)) as threads:
        for done in [threads.submit(run) for run in runs]:
            done.result()


@contextmanager
def namespaces() -> Iterator[str | None]:
    """Make two network namespaces on a bridge of this host; yield why not, if that fails."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield "needs root and ip"
        return
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for number, host in enumerate("ab", start=2):
            add_namespace(f"mhbench-{host}", f"mhbench{host}", f"{NETWORK}.{number}/24")
        yield None
    finally:
        for host in "ab":
            ip("netns", "del", f"mhbench-{host}", check=False)
        ip("link", "del", BRIDGE, check=False)


def add_namespace(name: str, link: str, address: str) -> None:
    ip("netns", "add", name)
    ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", link, "master", BRIDGE, "up")
    ip("-n", name, "addr", "add", address, "dev", "eth0")
    ip("-n", name, "link", "set", "eth0", "up")
    ip("-n", name, "link", "set", "lo", "up")


def ip(*arguments: str, check: bool = True) -> None:
    command: Sequence[str] = ["ip", *arguments]
    subprocess.run(command, check=check, stderr=None if check else subprocess.DEVNULL)


CASES: dict[str, tuple[Callable[[Case], None], str]] = {
    "one": (one, "127.0.0.1"),
    "two": (two, "127.0.0.1"),
    "hosts": (hosts, f"{NETWORK}.1"),
    "cluster": (cluster, "127.0.0.1"),
    "disturbed": (disturbed, "127.0.0.1"),
}

if __name__ == "__main__":
    main()
