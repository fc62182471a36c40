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

    def advanced(self, later: Snapshot, xid: int) -> Snapshot:
        """Return what has been seen once this and, of what is new in a later one, up to `xid` is.

        Who gets what is new in the order of its transactions can so continue after each.
        """
        if xid >= later.xmax - 1:
            return later
        still = {x for x in self.running if x > xid or not later.sees(x)}
        begun = {x for x in later.running if self.xmax <= x <= xid}
        xmax, running = max(self.xmax, xid + 1), frozenset(still | begun)
        return Snapshot(min(running, default=xmax), xmax, running)

    def __str__(self) -> str:
        """Return PostgreSQL's text: `xmin:xmax:xip,xip…`."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"


def parse_snapshot(text: str) -> Snapshot:
    """Read `xmin:xmax:xip,xip…`."""
    xmin, xmax, running = text.split(":")
    return Snapshot(int(xmin), int(xmax), frozenset(int(x) for x in running.split(",") if x))


def full_xid(xid: int, snapshot: Snapshot) -> int:
    """Return the 64-bit number of a 32-bit one that is visible in the snapshot (column `xmin`)."""
    return snapshot.xmax - (snapshot.xmax - xid) % _EPOCH
