"""The UDP thread: reads what clients send, sends what is due, keeps the timers.

Everything about clients happens in this one thread, without locks; other threads reach it through
its mailbox. Between portions of sends it reads what has arrived, so that ACKs never wait behind an
event.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from time import monotonic

from notify_server.store.notifications import StoredEvent
from notify_server.udp.database_requests import DatabaseRequests
from notify_server.udp.delivery import Delivery
from notify_server.udp.mailbox import Mailbox
from notify_server.udp.receiver import Receiver
from notify_server.udp.stats import Figures
from notify_server.udp.subscriptions import Subscriptions
from readers.datagram import make_template

log = logging.getLogger(__name__)

_SENDS_PER_TURN = 64
_MARK_INTERVAL_S = 0.1
# While an event is being sent, marking can wait.
_MARK_DELAY_S = 0.2
_SWEEP_INTERVAL_S = 1.0
_GATHER_S, _GATHER_MS = 0.001, 1
_STOPPING_MS = 10
_ANSWER_S = 1.0


class UdpServer:
    """The thread that owns the socket and the clients; to others it is a `Channel`.

    Attributes:
        backlog: recipients still to be looked up, as of the last turn.
        last_turn: monotonic time of the last turn; turns are half a second apart at most.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        receiver: Receiver,
        subscriptions: Subscriptions,
        delivery: Delivery,
        requests: DatabaseRequests,
        on_failure: Callable[[str], None],
    ) -> None:
        """Take the parts; `on_failure` is called when the thread ends by an error."""
        self._mailbox = mailbox
        self._receiver = receiver
        self._subscriptions = subscriptions
        self._delivery = delivery
        self._requests = requests
        self._on_failure = on_failure
        self._stop_at: float | None = None
        self._next_mark = self._next_sweep = 0.0
        self._either, self._mailbox_only = select.poll(), select.poll()
        self._either.register(receiver, select.POLLIN)
        for poller in (self._either, self._mailbox_only):
            poller.register(mailbox, select.POLLIN)
        self.backlog = 0
        self.last_turn = monotonic()
        self._thread = threading.Thread(target=self._run, name="udp")

    # --- for other threads ---------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def stop(self, drain_s: float) -> None:
        """End the thread once nothing is in flight, `drain_s` from now at the latest."""
        if self._thread.is_alive():
            self._mailbox.put(partial(self._stop_by, monotonic() + drain_s))
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def push(self, event: StoredEvent) -> None:
        """Send the event to those of its recipients who are connected here.

        A client that subscribes from now on sees the rows in the database.
        """
        if event.recipients:
            template = make_template(event.content, event.received)
            call = partial(self._delivery.fan_out, template, event.recipients, event.xid)
            self._mailbox.put(call)

    def revoke_keys(self, generations: dict[bytes, int]) -> None:
        """Drop the clients that have proved an older generation of their user's key."""
        self._mailbox.put(partial(self._subscriptions.revoke_keys, generations))

    def catch_up(self) -> None:
        """Query again what each client has not read."""
        self._mailbox.put(self._subscriptions.catch_up)

    def end_sessions(self) -> None:
        """Drop all clients; each learns of it by its next PING."""
        self._mailbox.put(self._subscriptions.end_all)

    def figures(self) -> Figures | None:
        """Return the current figures, None if the thread does not answer in time."""
        if self.is_alive:
            answer: Future[Figures] = Future()
            self._mailbox.put(lambda: answer.set_result(self._delivery.figures()))
            with suppress(TimeoutError):
                return answer.result(_ANSWER_S)
        return None

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_done():
                self._turn()
            self._requests.flush_marks()
        except Exception:
            log.exception("Unexpected error, the UDP thread ends")
            self._on_failure("the UDP thread has failed")

    def _stop_by(self, deadline: float) -> None:
        self._stop_at = deadline

    def _is_done(self) -> bool:
        if self._stop_at is None:
            return False
        return monotonic() >= self._stop_at or (not self._mailbox and self._delivery.is_idle)

    def _turn(self) -> None:
        if not (self._mailbox or self._delivery.has_work(self.last_turn)):
            self._wait()
        now = self.last_turn = monotonic()
        self._delivery.advance(now)
        self._receiver.read_some(now)
        self._mailbox.make_calls()
        self._delivery.send_some(monotonic(), _SENDS_PER_TURN)
        self.backlog = self._delivery.pending
        if now >= self._next_mark + (_MARK_DELAY_S if self.backlog else 0):
            self._next_mark = now + _MARK_INTERVAL_S
            self._requests.flush_marks()
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_INTERVAL_S
            self._subscriptions.expire(now)

    def _wait(self) -> None:
        """Wait until there is something to do.

        If datagrams arrive in quick succession they gather for a millisecond: to wake up for each
        of a thousand ACKs costs more than to read them.
        """
        if monotonic() - self._receiver.last_read < _GATHER_S:
            ready = self._mailbox_only.poll(_GATHER_MS)
        else:
            wait_ms = self._delivery.wait_ms() if self._stop_at is None else _STOPPING_MS
            ready = self._either.poll(wait_ms)
        if any(handle == self._mailbox.fileno() for handle, _ in ready):
            self._mailbox.clear()
