"""Kill programs at random moments, and print what readers missed or heard twice.

    python -m bench.campaign [--kills 300] [--seed 1]

A few times a second a job, one of its processes or the notification server is killed by kill -9,
while chapters and titles appear and change at a stand-in source. What readers should have received
is computed from the source.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness import new_database, print_table, server
from mangadex_sim import Simulator
from tests.support.campaign import SETTINGS, Campaign, Outcome
from tests.support.hub import Hub
from tests.support.programs import Programs
from tests.support.readers import Readers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began_s = time.monotonic()
    outcome = run(arguments.kills, arguments.seed)
    print_faults(outcome)
    rows = [[what, str(number)] for what, number in sorted(outcome.kills.items())]
    rows += [["told", str(outcome.told)], ["lost", str(len(outcome.lost))]]
    rows += [["twice", str(len(outcome.twice))]]
    seconds = time.monotonic() - began_s
    print_table(f"seed {arguments.seed}, in {seconds:.0f} s", ["killed", "times"], rows)
    if outcome.lost or outcome.twice:
        raise SystemExit(1)


def print_faults(outcome: Outcome) -> None:
    for name, found in (("lost", outcome.lost), ("twice", outcome.twice)):
        for each in found:
            print(f"{name}: {each}")


def run(kills: int, seed: int) -> Outcome:
    with installation(seed) as (_, campaign):
        return campaign.run(kills)


@contextmanager
def installation(seed: int) -> Iterator[tuple[Hub, Campaign]]:
    """Yield a campaign over a database, a source and programs of its own."""
    home = Path(tempfile.mkdtemp(prefix="mangahub-campaign-"))
    programs = Programs(home)
    opened: list[Readers] = []

    def make_readers(hub: Hub) -> Readers:
        opened.append(Readers(hub.udp, json.loads(hub.notify("key", "--all", "--json"))))
        return opened[-1]

    try:
        with server() as server_url, Simulator(titles=0, rate=0, latency_s=0.01) as sim:
            env = SETTINGS | {
                "DATABASE_URL": new_database(server_url, "campaign"),
                "MANGADEX_API_URL": sim.url,
                "NOTIFY_SECRET": "a secret for a campaign, long enough",
            }
            try:
                hub = Hub(sim, env, programs.run, programs.start, home)
                yield hub, Campaign(hub, seed, make_readers)
            finally:
                programs.end()
    finally:
        for readers in opened:
            readers.close()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
