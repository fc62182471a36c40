"""What is being sent: deliveries are chosen, begun, and recorded when they have ended."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from time import monotonic

import sql
from notify_server.channels import pacing
from notify_server.channels.failures import Receipt
from notify_server.channels.processes import Processes
from notify_server.store import channel_messages
from notify_server.store.horizon import Horizon
from readers.channels import store
from readers.channels.addresses import Policy
from readers.channels.messages import Delivery, Due

log = logging.getLogger(__name__)

PROCESSES = 16
_MOST_DUE = 500  # that are found at once
_FRESH_S = 1.0  # how long what was found is worth choosing from


class Deliveries:
    """All deliveries of a sender; one thread uses them. They outlive a lost connection."""

    def __init__(self, policy: Policy, site: str | None) -> None:
        """Take what messages depend on.

        Args:
            policy: what readers' addresses may be.
            site: the website's address, where readers can reach it.
        """
        self._policy = policy
        self._site = site
        self._processes = Processes(PROCESSES)
        self._lanes = pacing.Lanes(PROCESSES)
        self._due: list[Due] = []
        self._found_at = 0.0
        self._under_way: dict[int, Due] = {}
        self._ended: list[tuple[Delivery, Receipt]] = []

    @property
    def connections(self) -> list[Connection]:
        """What becomes readable when a delivery has ended."""
        return self._processes.connections

    @property
    def needs_look(self) -> bool:
        """Whether there is room, and nothing known that could fill it."""
        is_stale = not self._due or monotonic() - self._found_at > _FRESH_S
        return self._room > 0 and is_stale

    @property
    def _room(self) -> int:
        return PROCESSES - len(self._under_way)

    # --- beginning -----------------------------------------------------------------------------

    def look(self, connection: sql.Connection, horizon: Horizon) -> None:
        """Find what is due, and begin the tests that are wanted."""
        running = Counter(due.server for due in self._under_way.values())
        full = [server for server, count in running.items() if count >= self._lanes.of_server]
        busy = list(self._under_way)
        self._due = channel_messages.find_due(connection, horizon, busy, full, _MOST_DUE)
        self._found_at = monotonic()
        for test in channel_messages.load_tests(connection, self._policy):
            if test.channel_id not in self._under_way and self._room > 0:
                self._start(test, Due(test.channel_id, test.server, 0, False, None))

    def begin(self, connection: sql.Connection, horizon: Horizon) -> None:
        """Begin as many deliveries of what is due as there is room for."""
        self._due = [due for due in self._due if due.channel_id not in self._under_way]
        found = pacing.choose(self._due, list(self._under_way.values()), self._lanes)
        if not found:
            return
        chosen = {due.channel_id: due for due in found}
        self._due = [due for due in self._due if due.channel_id not in chosen]
        now = datetime.now(UTC)
        sizes = {id: pacing.size_of_message(due, now) for id, due in chosen.items()}
        for delivery in channel_messages.begin_messages(
            connection, horizon, sizes, self._policy, self._site
        ):
            self._start(delivery, chosen[delivery.channel_id])

    def _start(self, delivery: Delivery, due: Due) -> None:
        self._under_way[delivery.channel_id] = due
        if delivery.reaches is not None and not delivery.message.news:
            self._ended.append((delivery, Receipt()))  # its title was deleted
            return
        try:
            self._processes.start(delivery)
        except OSError as exc:
            log.error("No process can be started reason=%s", exc.strerror)
            self._ended.append((delivery, Receipt("the server has no process left for it")))

    # --- recording -----------------------------------------------------------------------------

    def record(self, connection: sql.Connection) -> bool:
        """Record what has ended, all or nothing; return whether anything has."""
        self._ended += self._processes.collect()
        if not self._ended:
            return False
        with connection.transaction():
            for delivery, receipt in self._ended:
                self._note(connection, delivery, receipt)
        for delivery, _ in self._ended:
            self._under_way.pop(delivery.channel_id, None)
        self._ended = []
        return True

    def _note(self, connection: sql.Connection, delivery: Delivery, receipt: Receipt) -> None:
        channel_id, message = delivery.channel_id, delivery.message.id
        if delivery.reaches is None:
            store.note_test(connection, channel_id, receipt.error)
            log.info("Tested a channel channel=%d reason=%s", channel_id, receipt.error or "-")
        elif receipt.error is None:
            channel_messages.note_success(connection, delivery)
            log.info("Sent channel=%d message=%s", channel_id, message)
        else:
            again_at = _next_attempt(delivery, receipt)
            channel_messages.note_failure(connection, delivery, receipt.error, again_at)
            log.warning(
                "%s channel=%d message=%s attempts=%d reason=%s",
                "Paused a channel" if again_at is None else "Not sent, trying again",
                *(channel_id, message, delivery.attempts + 1, receipt.error),
            )

    def end(self) -> None:
        """Kill the sending processes."""
        self._processes.end()


def _next_attempt(delivery: Delivery, receipt: Receipt) -> datetime | None:
    now = datetime.now(UTC)
    since = delivery.failing_since or now
    return pacing.next_attempt(delivery.attempts + 1, since, receipt.retry_after_s, now)
