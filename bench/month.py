"""Run thirty days of timers over the stand-in's clock; print what grows, and what readers missed.

    python -m bench.month [--days 30] [--seed 1]

Each day has four runs of `chapter-feed`, and one of each daily job. The source's clock moves on by
six hours between them, while chapters and titles appear and change. What readers should have heard
is computed from the source.
"""

from __future__ import annotations

import argparse
import time

import sql
from bench.campaign import installation, print_faults
from bench.harness import print_table, pss_mb
from tests.support.campaign import Campaign
from tests.support.hub import Hub

FEEDS_A_DAY = 4
DAILY = (
    ("new-manga-poll",),
    ("chapter-check",),
    ("metadata-refresh",),
    ("retention", "--days", "30"),
)
TABLES = (
    *("manga", "chapters", "chapter_announcements", "notification_events"),
    *("notifications", "notification_receipts", "manga_changes", "release_days"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began_s = time.monotonic()
    shown = {1, *range(arguments.days // 3, arguments.days + 1, max(arguments.days // 3, 1))}
    rows = []
    with installation(arguments.seed) as (hub, campaign):
        readers = campaign.begin()
        for day in range(1, arguments.days + 1):
            live_a_day(hub, campaign, day)
            if day in shown | {arguments.days}:
                rows.append([str(day), *measure(hub, campaign)])
        outcome = campaign.end(readers)
    print_faults(outcome)
    heads = ["day", *TABLES, "metadata", "database", "server"]
    print_table(f"{arguments.days} days in {time.monotonic() - began_s:.0f} s", heads, rows)
    print(f"told {outcome.told}, lost {len(outcome.lost)}, twice {len(outcome.twice)}")
    if outcome.lost or outcome.twice:
        raise SystemExit(1)


def live_a_day(hub: Hub, campaign: Campaign, day: int) -> None:
    for part in range(FEEDS_A_DAY):
        hub.sim.shift_clock(86_400 * (day - 1 + part / FEEDS_A_DAY))
        campaign.change_source()
        hub.batch("chapter-feed")
    for job in DAILY:
        hub.batch(*job)


def measure(hub: Hub, campaign: Campaign) -> list[str]:
    """Return rows of each table, bytes of metadata, MB of the database and of the server."""
    with sql.connect(hub.env["DATABASE_URL"]) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() or (0,)
            for table in TABLES
        ]
        metadata, size = connection.execute(
            "SELECT sum(length(metadata::text)), pg_database_size(current_database())"
            " FROM sync_state"
        ).fetchone() or (0, 0)
    figures = [f"{count:,}" for (count,) in counts]
    server = f"{pss_mb(campaign.server_pid):.0f} MB"
    return [*figures, f"{metadata:,} B", f"{size / 1e6:.0f} MB", server]


if __name__ == "__main__":
    main()
