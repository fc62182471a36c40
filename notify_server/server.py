"""The server: its composition, and the order in which its parts start and stop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic

import sql
from mangahub import systemd, waitress_server
from mangahub.sockets import bind, shown
from notify_server.config import Config
from notify_server.publish.channels import Channel
from notify_server.publish.claims import Claims
from notify_server.publish.finisher import Finisher
from notify_server.publish.history import History
from notify_server.publish.other_servers import OtherServers
from notify_server.publish.publisher import Publisher
from notify_server.udp import sockets
from notify_server.udp.clients import Clients
from notify_server.udp.database_requests import DatabaseRequests
from notify_server.udp.database_thread import DatabaseThread
from notify_server.udp.delivery import Delivery
from notify_server.udp.mailbox import Mailbox
from notify_server.udp.proofs import Proofs
from notify_server.udp.receiver import Receiver
from notify_server.udp.replay import Replays
from notify_server.udp.server import UdpServer
from notify_server.udp.stats import Stats
from notify_server.udp.subscription_check import SubscriptionCheck
from notify_server.udp.subscriptions import Subscriptions
from notify_server.web.app import QUICK_PATHS, allows, create_app
from notify_server.web.metrics import Metrics
from notify_server.web.services import Services
from notify_server.wire.auth import Cookies
from readers.channels.store import Counts, count_channels
from sql.connections import Database

# Together below the 10 s within which a service has to end.
_HTTP_STOP_S = 3.0
_DRAIN_S = 2.0
_JOIN_S = 1.5
_FIRST_ATTEMPT_S = 6.0
_STUCK_S = 5.0


class NotifyServer:
    """Opens its sockets when it is created, so that a port in use is reported first."""

    def __init__(self, config: Config, secret: str) -> None:
        """Open the sockets.

        Raises:
            PortTaken: one of them cannot be bound.
        """
        self._config = config
        self._secret = secret
        self._udp_socket = _bind(socket.SOCK_DGRAM, config.bind, config.udp_port)
        try:
            sockets.prepare(self._udp_socket)
            self._http_socket = _bind(socket.SOCK_STREAM, config.bind, config.http_port)
        except BaseException:
            self._udp_socket.close()
            raise
        self._stop = threading.Event()
        self.failure: str | None = None
        self._is_composed = False
        self._channel_counts: Counts | None = None

    @property
    def http_address(self) -> str:
        return shown(self._http_socket)

    @property
    def udp_address(self) -> str:
        return shown(self._udp_socket)

    # --- composition ---------------------------------------------------------------------------

    def _compose(self, locate: Callable[[], str]) -> None:
        self._mailbox, claims, is_following = Mailbox(), Claims(), threading.Event()
        channels: list[Channel] = []
        history = History(claims, channels)
        size = waitress_server.THREADS + 3
        self._database = database = Database(locate(), size, history.examine)
        check = SubscriptionCheck(database, self._secret, is_following)
        self._database_thread = DatabaseThread(database, check, self._mailbox)
        self._udp = self._compose_udp(DatabaseRequests(self._database_thread.put))
        channels.append(self._udp)
        self._other_servers = OtherServers(
            locate,
            database,
            history,
            claims,
            channels,
            is_following,
            self._count_channels,
            self._fail,
        )
        self._finisher = Finisher()
        self._publisher = publisher = Publisher(database, claims, channels, self._finisher.add)
        drops = partial(sockets.count_drops, self._udp_socket)
        metrics = Metrics(self._udp.figures, drops, lambda: self._channel_counts)
        services = Services(database, publisher, metrics, self._config.api_key, self._is_udp_usable)
        self._web = waitress_server.WebServer(
            create_app(services),
            self._http_socket,
            partial(allows, self._config.api_key),
            QUICK_PATHS,
        )
        self._is_composed = True

    def _compose_udp(self, requests: DatabaseRequests) -> UdpServer:
        sock, stats, clients = self._udp_socket, Stats(), Clients()
        send = partial(sockets.send, sock, stats)
        replays = Replays(clients, requests, stats)
        delivery = Delivery(clients, replays, requests, sockets.MessageVector(sock), stats)
        cookies, legacy = Cookies(self._secret), self._config.legacy
        subscriptions = Subscriptions(
            clients, replays, requests, cookies, Proofs(self._secret), send, stats, legacy
        )
        receiver = Receiver(sock, clients, delivery, subscriptions, send, stats)
        return UdpServer(self._mailbox, receiver, subscriptions, delivery, requests, self._fail)

    # --- starting, running, stopping -----------------------------------------------------------

    def start(self, locate: Callable[[], str]) -> None:
        """Start all threads; return when the database was reached, or cannot be reached now.

        Args:
            locate: returns the database's URL.
        """
        self._compose(locate)
        self._database_thread.start()
        self._udp.start()
        self._other_servers.start()
        self._other_servers.has_tried.wait(_FIRST_ATTEMPT_S)
        if self.failure is None:
            self._finisher.start(self._publisher)
            self._web.start()

    def request_stop(self) -> None:
        """Make `wait` return; a signal handler may call it."""
        self._stop.set()

    def wait(self) -> None:
        """Return when a stop was requested or something has failed; keep systemd informed."""
        interval = systemd.watchdog_interval_s() or 1.0
        while not self._stop.wait(min(interval, 1.0)):
            self._database.close_stuck()
            if self._is_udp_usable() and self._web.is_alive:
                systemd.notify("WATCHDOG=1")
            elif not (self._web.is_alive and self._database_thread.is_alive and self._udp.is_alive):
                self._fail("a thread has ended")

    def stop(self, drain_s: float = _DRAIN_S) -> None:
        """Answer open requests, wait for ACKs, mark them, close everything; may be called twice.

        Args:
            drain_s: how long to wait for the ACKs of what is in flight.
        """
        if self._is_composed:
            self._web.stop(_HTTP_STOP_S)
            self._finisher.stop(_JOIN_S)
            self._udp.stop(drain_s)
            self._database_thread.stop(_JOIN_S)
            self._other_servers.stop(_JOIN_S)
            self._database.close()
            self._mailbox.close()
            self._is_composed = False
        self._udp_socket.close()
        self._http_socket.close()

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._stop.set()

    def _count_channels(self, connection: sql.Connection) -> None:
        self._channel_counts = count_channels(connection)

    def _is_udp_usable(self) -> bool:
        is_turning = monotonic() - self._udp.last_turn < _STUCK_S
        return self._udp.is_alive and self._database_thread.is_alive and is_turning


def _bind(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    setting = "UDP_PORT" if kind is socket.SOCK_DGRAM else "UDP_HTTP_PORT"
    return bind(kind, address, port, port_setting=setting, address_setting="NOTIFY_BIND")
