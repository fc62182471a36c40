"""The UDP socket and its thread: reads what clients send, sends what is due, keeps the timers.

Everything about clients happens in this one thread, without locks. Other threads `post` calls to
it. Between portions of sends it reads what has arrived, so that ACKs never wait behind an event.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from notify_server.errors import PortTaken
from notify_server.udp.clients import Clients
from notify_server.udp.database_thread import DatabaseThread
from notify_server.udp.delivery import PORTION_INTERVAL_S, Delivery
from notify_server.udp.sendmmsg import MessageVector
from notify_server.udp.stats import Stats
from notify_server.udp.subscriptions import Subscriptions
from notify_server.wire.auth import Address, Cookies
from notify_server.wire.protocol import MAX_DATAGRAM

log = logging.getLogger(__name__)

_RECEIVE_BYTES = 16 * 2**20
_SEND_BYTES = 4 * 2**20
_SENDS_PER_TURN = 64
_READS_IDLE, _READS_BUSY, _READS_FULL, _READS_ALL = 256, 16, 256, 20_000
# What the kernel counts for one small datagram in the receive buffer, at most.
_KERNEL_BYTES = 1_280
# To read so many ACKs takes some 30 ms.
_MOST_UNREAD = 4_000
_MARK_INTERVAL_S = 0.1
# While an event goes out, the database may do better than marking it.
_MARK_DELAY_S = 0.2
_SWEEP_INTERVAL_S = 1.0
_GATHER_S, _GATHER_MS = 0.001, 1


def open_socket(address: str, port: int) -> socket.socket:
    """A bound datagram socket with large buffers; `::` takes IPv4 clients too.

    Raises:
        PortTaken: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if address == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        _set_buffer(sock, "SO_RCVBUF", _RECEIVE_BYTES)
        _set_buffer(sock, "SO_SNDBUF", _SEND_BYTES)
        sock.setblocking(False)
        sock.bind(socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0][4])
    except OSError as exc:
        sock.close()
        raise PortTaken("UDP", address, port, "UDP_PORT", exc) from exc
    return sock


# Linux lets a privileged process exceed net.core.rmem_max; the socket module has no names for it.
_FORCE = {"SO_RCVBUF": 33, "SO_SNDBUF": 32}


def _set_buffer(sock: socket.socket, name: str, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _FORCE[name], size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), size)


class UdpServer:
    """Owns the socket, the clients, and the thread in which all of it happens."""

    def __init__(
        self,
        sock: socket.socket,
        database_thread: DatabaseThread,
        cookies: Cookies,
        legacy: str,
        stats: Stats,
        on_failure: Callable[[], None],
    ) -> None:
        """`on_failure` is called when the thread ends by an error."""
        self._socket = sock
        self._stats = stats
        self._on_failure = on_failure
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._calls: deque[Callable[[], None]] = deque()
        self._stop_at: float | None = None
        self._last_read = 0.0
        self._next_mark = self._next_sweep = 0.0
        # How many datagrams may be answered before those answers have to be read.
        buffer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._most_unread = min(buffer // _KERNEL_BYTES // 2, _MOST_UNREAD)
        self._sent_when_empty = 0
        self.clients = Clients()
        self.delivery = Delivery(self.clients, database_thread, MessageVector(sock), stats)
        self.subscriptions = Subscriptions(
            self.clients, self.delivery, database_thread, cookies, self._send, stats, legacy
        )
        self.delivery.request_unread = self.subscriptions.request_unread
        database_thread.connect(self.post, self.delivery, self.subscriptions)
        self.last_turn = monotonic()
        self._thread = threading.Thread(target=self._run, name="udp")

    def start(self) -> None:
        self._thread.start()

    def post(self, call: Callable[[], None]) -> None:
        """Has the UDP thread make this call."""
        self._calls.append(call)
        os.eventfd_write(self._wake, 1)

    def stop(self, drain_s: float) -> None:
        """Ends the thread when nothing is in flight any more, `drain_s` from now at the latest."""
        if self._thread.is_alive():
            deadline = monotonic() + drain_s
            self.post(lambda: self._stop_by(deadline))
            self._thread.join()

    def close(self) -> None:
        """After `stop`: closes the socket."""
        self._socket.close()
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def posted(self) -> int:
        return len(self._calls)

    def _stop_by(self, deadline: float) -> None:
        self._stop_at = deadline if self._stop_at is None else min(self._stop_at, deadline)

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        both, calls_only = select.poll(), select.poll()
        both.register(self._socket, select.POLLIN)
        both.register(self._wake, select.POLLIN)
        calls_only.register(self._wake, select.POLLIN)
        try:
            while not self._is_done():
                self._turn(both, calls_only)
            self.delivery.flush_marks()
        except Exception:
            log.exception("The UDP thread has failed")
            self._on_failure()

    def _is_done(self) -> bool:
        if self._stop_at is None:
            return False
        return monotonic() >= self._stop_at or (not self._calls and self.delivery.is_idle)

    def _turn(self, both: select.poll, calls_only: select.poll) -> None:
        if not (self.delivery.has_work(self.last_turn) or self._calls):
            self._wait(both, calls_only)
        now = self.last_turn = monotonic()
        self.delivery.run_timers(now)
        self._read_some(now)
        self._make_calls()
        self.delivery.send_some(now, _SENDS_PER_TURN)
        if now >= self._next_mark + (_MARK_DELAY_S if self.delivery.pending else 0):
            self._next_mark = now + _MARK_INTERVAL_S
            self.delivery.flush_marks()
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_INTERVAL_S
            self.subscriptions.expire(now)

    def _wait(self, both: select.poll, calls_only: select.poll) -> None:
        """Until something is to be done.

        Where datagrams arrive in quick succession they are left to gather for a millisecond: to
        wake up for each of a thousand ACKs costs more than to read them.
        """
        if monotonic() - self._last_read < _GATHER_S:
            ready = calls_only.poll(_GATHER_MS)
        else:
            ready = both.poll(self._wait_ms())
        if any(handle == self._wake for handle, _ in ready):
            os.eventfd_read(self._wake)

    def _wait_ms(self) -> int:
        if self.delivery.has_portions or self.delivery.pending:
            return int(PORTION_INTERVAL_S * 1000)
        is_waiting = self.delivery.is_timing or self.delivery.has_marks
        return 20 if is_waiting or self._stop_at is not None else 500

    def _read_some(self, now: float) -> None:
        for _ in range(self._reads_allowed()):
            try:
                # One byte more than may be, so that a longer datagram is seen to be too long.
                datagram, address = self._socket.recvfrom(MAX_DATAGRAM + 1)
            except BlockingIOError:
                self._sent_when_empty = self._stats.sent
                return
            except OSError as exc:  # an ICMP refusal of something that was sent
                log.debug("Receiving failed reason=%s", exc)
                continue
            self._stats.received += 1
            self._last_read = now
            self._handle(datagram, address, now)

    def _reads_allowed(self) -> int:
        """While an event goes out, its ACKs may wait a little, as long as the buffer holds them."""
        if self.delivery.has_resends:
            return _READS_ALL  # what has been acknowledged already is not sent again
        if not self.delivery.pending:
            return _READS_IDLE
        unread = self._stats.sent - self._sent_when_empty
        return _READS_BUSY if unread < self._most_unread else _READS_FULL

    def _handle(self, datagram: bytes, address: Address, now: float) -> None:
        try:
            self.subscriptions.on_datagram(datagram, address, now)
        except Exception:
            log.exception("A datagram could not be dealt with address=%s", address[0])

    def _make_calls(self) -> None:
        for _ in range(len(self._calls)):
            call = self._calls.popleft()
            try:
                call()
            except Exception:
                log.exception("A call of another thread failed")

    def _send(self, datagram: bytes, address: Address) -> None:
        """An answer to one client; if it cannot be sent, the client asks again."""
        for _ in range(2):
            try:
                self._socket.sendto(datagram, address)
                return
            except ConnectionRefusedError:  # belongs to an earlier datagram: once more
                continue
            except OSError as exc:
                log.debug("Sending failed address=%s reason=%s", address[0], exc)
                break
        self._stats.send_errors += 1

    # --- figures -------------------------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def receive_drops(self) -> int:
        return count_drops(self._socket)


def count_drops(sock: socket.socket) -> int:
    """Datagrams that the kernel dropped because this socket's receive buffer was full."""
    inode = str(os.fstat(sock.fileno()).st_ino)
    table = "udp6" if sock.family == socket.AF_INET6 else "udp"
    try:
        # Not /proc/net, which a service that sees processes only (ProcSubset=pid) has not.
        lines = Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    except OSError:
        return 0
    return next((int(f[-1]) for f in map(str.split, lines) if f[9] == inode), 0)
