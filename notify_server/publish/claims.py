"""Decides who pushes an event at this server: who stores it here, or `OtherServers`.

Several servers on one database are notified of each other's events by LISTEN/NOTIFY, and of their
own too. Each event must be pushed here once.
"""

from __future__ import annotations

import threading
from collections import Counter
from itertools import islice

from sql.snapshot import Snapshot

_MOST_PUSHED = 1_000


class Claims:
    """What was pushed here, or is about to be. Any thread may call it.

    What is pushed at once is what one transaction has stored of an event.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._storing: Counter[str] = Counter()
        self._deferred: dict[str, set[int]] = {}
        self._pushed: dict[tuple[str, int], None] = {}
        # Events that are claimed, or of which something may not be pushed, and what the last look
        # had seen when that began: none of it is what is in question.
        self._since: dict[str, Snapshot | None] = {}
        self._unsettled: dict[str, Snapshot | None] = {}
        self._seen: Snapshot | None = None

    def begin(self, event_id: str) -> None:
        """Claim the event for a thread that stores of it, and pushes what it has stored."""
        with self._lock:
            self._storing[event_id] += 1
            self._since.setdefault(event_id, self._seen)

    def end(self, event_id: str, xid: int | None, is_certain: bool = True) -> None:
        """End the thread's claim.

        Args:
            xid: the transaction that has stored of the event, None if nothing was stored.
            is_certain: False if the answer to the statement was lost.
        """
        with self._lock:
            self._storing[event_id] -= 1
            if xid is not None:
                self._pushed[event_id, xid] = None
            elif not is_certain:
                self._unsettled.setdefault(event_id, self._since[event_id])
            if self._storing[event_id] <= 0:
                del self._storing[event_id]
                since = self._since.pop(event_id)
                deferred = self._deferred.pop(event_id, set())
                if any((event_id, each) not in self._pushed for each in deferred):
                    self._unsettled.setdefault(event_id, since)

    def acquire(self, event_id: str, xid: int) -> bool:
        """Claim what another server has stored; return False if it is pushed or claimed already.

        What a thread has claimed but does not store comes back through `take_unsettled`.
        """
        with self._lock:
            if (event_id, xid) in self._pushed:
                return False
            if event_id in self._storing:
                self._deferred.setdefault(event_id, set()).add(xid)
                return False
            return True

    def remember(self, event_id: str, xid: int) -> None:
        """Record that what was acquired has been pushed."""
        with self._lock:
            self._pushed[event_id, xid] = None

    def pushed(self) -> list[str]:
        """Return the events of the newest thousand that were pushed and not forgotten."""
        with self._lock:
            newest = islice(reversed(self._pushed), _MOST_PUSHED)
            return list({event_id: None for event_id, _ in newest})

    def clear(self) -> None:
        """Forget all that was pushed: it is not stored any more."""
        with self._lock:
            self._pushed.clear()
            self._seen = None

    def take_unsettled(self) -> dict[str, Snapshot | None]:
        """Return the events of which something may be stored that nobody here has pushed.

        With each comes a snapshot; what that has seen is not in question.
        """
        with self._lock:
            unsettled, self._unsettled = self._unsettled, {}
        return unsettled

    def forget(self, snapshot: Snapshot) -> None:
        """Forget what will not be reported again: all that the snapshot saw."""
        with self._lock:
            open_events = self._since.keys() | self._unsettled.keys()
            self._pushed = {
                (event_id, xid): None
                for event_id, xid in self._pushed
                if event_id in open_events or not snapshot.sees(xid)
            }
            self._seen = snapshot
