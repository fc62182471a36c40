"""Reads and handles what clients send. Belongs to the UDP thread.

Invalid messages change nothing. SUBSCRIBE goes to `Subscriptions`.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from datetime import UTC, datetime

from notify_server.udp.clients import Client, Clients
from notify_server.udp.delivery import Delivery
from notify_server.udp.stats import Stats
from notify_server.udp.subscriptions import Send, Subscriptions
from notify_server.wire import protocol
from notify_server.wire.auth import Address
from notify_server.wire.protocol import Ack, Ping, Subscribe, Unsubscribe
from readers.datagram import MAX_DATAGRAM

log = logging.getLogger(__name__)

_READS_IDLE, _READS_BUSY, _READS_FULL, _READS_ALL = 256, 16, 256, 20_000
# What the kernel counts for one small datagram in the receive buffer, at most.
_KERNEL_BYTES = 1_280
# Reading so many ACKs takes some 30 ms.
_MOST_UNREAD = 4_000


@dataclass
class Receiver:
    """Reads from the socket; how much in a turn depends on what is being sent.

    Attributes:
        last_read: monotonic time of the last datagram.
    """

    socket: socket.socket
    clients: Clients
    delivery: Delivery
    subscriptions: Subscriptions
    send: Send
    stats: Stats
    last_read: float = 0.0
    _sent_when_empty: int = 0

    def __post_init__(self) -> None:
        # How many datagrams may be sent before their ACKs have to be read.
        buffer = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._most_unread = min(buffer // _KERNEL_BYTES // 2, _MOST_UNREAD)

    def fileno(self) -> int:
        return self.socket.fileno()

    def read_some(self, now: float) -> None:
        for _ in range(self._limit()):
            try:
                # One byte more than allowed, so that a longer datagram is recognised.
                datagram, address = self.socket.recvfrom(MAX_DATAGRAM + 1)
            except BlockingIOError:
                self._sent_when_empty = self.stats.sent
                return
            except OSError as exc:  # an ICMP answer to something that was sent
                log.debug("Receiving failed reason=%s", exc)
                continue
            self.stats.received += 1
            self.last_read = now
            try:
                self._handle(datagram, address, now)
            except Exception:
                log.exception("Unexpected error while handling a datagram address=%s", address[0])

    def _limit(self) -> int:
        """Return how much to read: during an event ACKs can wait if the buffer holds them."""
        if self.delivery.has_overdue:
            return _READS_ALL  # so that nothing acknowledged is sent again
        if not self.delivery.pending:
            return _READS_IDLE
        unread = self.stats.sent - self._sent_when_empty
        return _READS_BUSY if unread < self._most_unread else _READS_FULL

    def _handle(self, datagram: bytes, address: Address, now: float) -> None:
        message = protocol.parse(datagram)
        if isinstance(message, Ack):
            self._on_ack(message, address, now)
        elif isinstance(message, Subscribe):
            self.subscriptions.subscribe(message, address, len(datagram), now)
        elif isinstance(message, Ping):
            self._on_ping(message, address, len(datagram), now)
        elif isinstance(message, Unsubscribe):
            self._on_unsubscribe(message, address)
        else:
            self.stats.malformed += 1

    def _on_ack(self, message: Ack, address: Address, now: float) -> None:
        client = self.clients.at(address)
        if client is not None and client.session == message.session:
            client.last_seen = now
            self.delivery.acknowledge(client, message.ids, now)

    def _on_ping(self, message: Ping, address: Address, length: int, now: float) -> None:
        client = self._client_of(message, address)
        if client is None:
            self.subscriptions.challenge(address, length)
        elif client.session in (None, message.session):
            client.last_seen = now
            self.send(protocol.pong(client.session), address)

    def _on_unsubscribe(self, message: Unsubscribe, address: Address) -> None:
        client = self._client_of(message, address)
        if client is not None and client.session in (None, message.session):
            self.clients.remove(client)
            now = datetime.now(UTC)
            self.send(protocol.confirmation("UNSUBSCRIBE", now, client.session), address)
            log.info("Client unsubscribed address=%s", address[0])

    def _client_of(self, message: Ping | Unsubscribe, address: Address) -> Client | None:
        """Return the client there if it is the user's; legacy ones need not name the user."""
        client = self.clients.at(address)
        if client is None or client.user == message.user:
            return client
        return client if client.session is None and message.user is None else None
