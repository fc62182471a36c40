"""The whole server: what it is made of, the order in which it starts and stops."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from time import monotonic

from notify_server import systemd
from notify_server.config import Config
from notify_server.metrics import Metrics
from notify_server.publish.other_servers import OtherServers
from notify_server.publish.publisher import Claims, Publisher
from notify_server.store.connections import Database
from notify_server.udp import server
from notify_server.udp.database_thread import DatabaseThread
from notify_server.udp.stats import Stats
from notify_server.web import waitress_server
from notify_server.web.app import create_app
from notify_server.web.errors import Services
from notify_server.wire.auth import Cookies

log = logging.getLogger(__name__)

# Together below the 10 s in which a service has to be gone.
_HTTP_STOP_S = 3.0
_DRAIN_S = 2.0
_JOIN_S = 1.5
_FIRST_ATTEMPT_S = 6.0
_STUCK_S = 5.0


class NotifyServer:
    """Opens its sockets when made, so that a taken port is known before anything else."""

    def __init__(self, config: Config, secret: str) -> None:
        """Raises PortTaken."""
        self._config = config
        self._secret = secret
        self._udp_socket = server.open_socket(config.bind, config.udp_port)
        try:
            self._http_socket = waitress_server.open_socket(config.bind, config.http_port)
        except BaseException:
            self._udp_socket.close()
            raise
        self._stop = threading.Event()
        self.failure: str | None = None
        self._is_built = False

    @property
    def http_address(self) -> str:
        return _shown(self._http_socket)

    @property
    def udp_address(self) -> str:
        return _shown(self._udp_socket)

    def close(self) -> None:
        """Closes sockets that `start` never took over."""
        if not self._is_built:
            self._udp_socket.close()
            self._http_socket.close()

    # --- starting ------------------------------------------------------------------------------

    def start(self, locate: Callable[[], str]) -> None:
        """Starts all threads; returns when the database was reached, or cannot be just now.

        Args:
            locate: returns the database's URL.
        """
        self._build(locate)
        self._database_thread.start()
        self._udp.start()
        self._other_servers.start()
        self._other_servers.has_tried.wait(_FIRST_ATTEMPT_S)
        self._web.start()

    def _build(self, locate: Callable[[], str]) -> None:
        stats, claims = Stats(), Claims()
        self._database = Database(locate(), waitress_server.THREADS + 2)
        self._database_thread = DatabaseThread(
            self._database, self._secret, lambda: self._other_servers.may_join()
        )
        self._udp = server.UdpServer(
            self._udp_socket,
            self._database_thread,
            Cookies(self._secret),
            self._config.legacy,
            stats,
            lambda: self._fail("the UDP thread has failed"),
        )
        self._other_servers = OtherServers(locate, self._database, self._udp, claims, self._fail)
        publisher = Publisher(self._database, self._udp, claims)
        metrics = Metrics(self._udp, stats)
        parts = Services(
            self._database, publisher, metrics, self._config.api_key, self._is_udp_usable
        )
        self._web = waitress_server.WebServer(create_app(parts), self._http_socket)
        self._is_built = True

    def _is_udp_usable(self) -> bool:
        is_turning = monotonic() - self._udp.last_turn < _STUCK_S
        return self._udp.is_alive and self._database_thread.is_alive and is_turning

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._stop.set()

    # --- running and stopping ------------------------------------------------------------------

    def request_stop(self) -> None:
        """May be called by a signal handler."""
        self._stop.set()

    def wait(self) -> None:
        """Returns when a stop was requested or something has failed; keeps systemd informed."""
        interval = systemd.watchdog_interval_s() or 1.0
        while not self._stop.wait(min(interval, 1.0)):
            self._database.cut_stuck()
            if self._is_udp_usable() and self._web.is_alive:
                systemd.notify("WATCHDOG=1")
            elif not (self._web.is_alive and self._database_thread.is_alive and self._udp.is_alive):
                self._fail("a thread has ended")

    def stop(self, drain_s: float = _DRAIN_S) -> None:
        """Answers what was asked, lets ACKs arrive, marks them, and leaves; works twice.

        Args:
            drain_s: how long to wait for the ACKs of what is in flight.
        """
        if not self._is_built:
            self.close()
            return
        self._web.stop(_HTTP_STOP_S)
        self._udp.stop(drain_s)
        self._database_thread.stop(_JOIN_S)
        self._other_servers.stop(_JOIN_S)
        self._database.close()
        self._udp.close()


def _shown(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
