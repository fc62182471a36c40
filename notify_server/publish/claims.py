"""Decides who pushes an event at this server: the request that stores it, or `OtherServers`.

Several servers on one database are notified of each other's events by LISTEN/NOTIFY, and of their
own too. Each event must be pushed here once.
"""

from __future__ import annotations

import threading
from collections import Counter

from sql.snapshot import Snapshot

_MOST_PUSHED = 1_000


class Claims:
    """Events that were pushed here, or are about to be. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._storing: Counter[str] = Counter()
        self._deferred: set[str] = set()
        self._pushed: dict[str, int] = {}
        self._unsettled: set[str] = set()

    def begin(self, event_id: str) -> None:
        """Claim the event for a request that stores it, and pushes it if it was stored."""
        with self._lock:
            self._storing[event_id] += 1

    def end(self, event_id: str, xid: int | None, is_certain: bool = True) -> None:
        """End the request's claim.

        Args:
            xid: the transaction that stored the event, None if this request stored nothing.
            is_certain: False if the answer to the statement was lost.
        """
        with self._lock:
            self._storing[event_id] -= 1
            if self._storing[event_id] <= 0:
                del self._storing[event_id]
            if xid is not None:
                self._pushed[event_id] = xid
                self._deferred.discard(event_id)
            elif not is_certain:
                self._unsettled.add(event_id)
            elif event_id in self._deferred and event_id not in self._storing:
                self._deferred.discard(event_id)
                self._unsettled.add(event_id)

    def acquire(self, event_id: str) -> bool:
        """Claim an event of another server; return False if it is pushed or claimed already.

        What a request has claimed but does not store comes back through `take_unsettled`.
        """
        with self._lock:
            if event_id in self._pushed:
                return False
            if event_id in self._storing:
                self._deferred.add(event_id)
                return False
            return True

    def remember(self, event_id: str, xid: int) -> None:
        """Record that an acquired event has been pushed."""
        with self._lock:
            self._pushed[event_id] = xid

    def pushed(self) -> list[str]:
        """Return the events that were pushed and not forgotten, the newest thousand."""
        with self._lock:
            return list(self._pushed)[-_MOST_PUSHED:]

    def clear(self) -> None:
        """Forget all that was pushed: it is not stored any more."""
        with self._lock:
            self._pushed.clear()

    def take_unsettled(self) -> set[str]:
        """Return the events that may have been stored although no request pushed them."""
        with self._lock:
            unsettled, self._unsettled = self._unsettled, set()
        return unsettled

    def forget(self, snapshot: Snapshot) -> None:
        """Forget the events that will not be reported again: all that the snapshot saw."""
        with self._lock:
            self._pushed = {e: xid for e, xid in self._pushed.items() if not snapshot.sees(xid)}
