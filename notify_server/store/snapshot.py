"""PostgreSQL's snapshots: what a query could see of other transactions. Pure.

A client's replay is one query. Ids do not show whether a notification was part of it, as they are
not assigned in the order of commits; the query's snapshot does, which saw the transaction that
stored it or not. So a client is pushed exactly what its replay did not see.
"""

from __future__ import annotations

from typing import NamedTuple

_EPOCH = 2**32


class Snapshot(NamedTuple):
    """`pg_current_snapshot()`: transactions before `xmin` had ended, from `xmax` on none had."""

    xmin: int
    xmax: int
    running: frozenset[int]

    def sees(self, xid: int) -> bool:
        """Return whether the committed transaction `xid` had ended when the snapshot was taken."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


def parse_snapshot(text: str) -> Snapshot:
    """Read `xmin:xmax:xip,xip…`."""
    xmin, xmax, running = text.split(":")
    return Snapshot(int(xmin), int(xmax), frozenset(int(x) for x in running.split(",") if x))


def full_xid(xid: int, snapshot: Snapshot) -> int:
    """Return the 64-bit number of a 32-bit one that is visible in the snapshot (column `xmin`)."""
    return snapshot.xmax - (snapshot.xmax - xid) % _EPOCH
