"""Up to which notification everything is there, and who sends it: SQL."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

import sql
from readers.channels import store

_LOCK = 7_241_905_318_842_013  # any constant does, as long as all senders agree on it
# Only a transaction of another program, or of another database of the server, takes longer.
_LONGEST_TRANSACTION = timedelta(minutes=2)


def acquire_lock(connection: sql.Connection) -> bool:
    """Return whether this session is the one that sends, until it ends."""
    return bool(connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchall()[0][0])


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the sequence of ids, and the transactions that began before the next one."""

    at: datetime
    last_id: int
    xmax: int | None


class Horizon:
    """Up to which id no notification will appear any more.

    Ids are given before they are committed, so that a lower one may appear after a higher. Whoever
    holds an id that one look has seen has a transaction at the next look; when all of those have
    ended, everything up to that id is there.
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()
        self.id = 0

    def look(self, connection: sql.Connection) -> bool:
        """Look again; return whether everything that was ever given is complete."""
        now, last_id, xmin, xmax = connection.execute(
            f"SELECT now(), {store.LAST_ID}, pg_snapshot_xmin(s)::text::bigint,"
            " pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() AS s".encode()
        ).fetchall()[0]
        if self._looks and self._looks[-1].xmax is None:
            newest = self._looks.pop()
            self._looks.append(_Look(newest.at, newest.last_id, xmax))
        while self._looks and self._is_over(self._looks[0], xmin, now):
            self.id = max(self.id, self._looks.popleft().last_id)
        if last_id > max([self.id, *(look.last_id for look in self._looks)]):
            self._looks.append(_Look(now, last_id, None))
        return not self._looks

    def _is_over(self, look: _Look, xmin: int, now: datetime) -> bool:
        if look.xmax is None:
            return False
        return look.xmax <= xmin or now - look.at > _LONGEST_TRANSACTION
