"""The socket side: one listening port, one thread a connection, keep-alive.

A connection's thread reads a request, asks the handler for a reply, waits until the reply is due,
and sends it. Everything ends within moments of `stop`.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from mangadex_sim.server.replies import PLAIN
from mangadex_sim.server.wire import (
    BadRequestError,
    Manner,
    Reply,
    Request,
    read_request,
    write_reply,
)

KEEP_ALIVE_S = 75.0
_BACKLOG = 512
_JOIN_S = 5.0

log = logging.getLogger(__name__)


class Handler(Protocol):
    """Decides what each request is answered."""

    def handle(self, request: Request) -> tuple[Reply, float]:
        """Return the reply and when it is due, in monotonic seconds."""

    def finish(self, request: Request, outcome: str) -> None:
        """Record how a request ended."""


class HttpServer:
    """Listens on one TCP port. OSError if the address cannot be bound."""

    def __init__(self, handler: Handler, host: str, port: int) -> None:
        self._handler = handler
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards what follows
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._helpers: list[threading.Thread] = []  # acceptors, and those that end an outage
        self._listener: socket.socket | None = None
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = self._bind(host, port)
        self.address: tuple[str, int] = bound.getsockname()[:2]
        self._reserved: socket.socket | None = bound  # bound, not listening: refuses connections

    def _bind(self, host: str, port: int) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
        except BaseException:
            bound.close()
            raise
        return bound

    # --- opening and closing -------------------------------------------------------------------

    def open(self) -> None:
        """Accept connections; do nothing if it does already."""
        with self._lock:
            if self._reserved is None or self._stopped.is_set():
                return
            listener, self._reserved = self._reserved, None
            listener.listen(_BACKLOG)
            self._listener = listener
        self._start(self._accept, listener)

    def refuse(self, seconds: float | None) -> None:
        """Refuse connections and drop those there are, for a time or until `open`."""
        with self._lock:
            if self._listener is None:
                return
            _shut(self._listener)
            self._listener.close()
            self._listener = None
            self._reserved = self._bind(*self.address)
            for connection, thread in self._connections.items():
                if thread is not threading.current_thread():  # that one brought the order
                    _shut(connection)
        if seconds is not None:
            self._start(self._reopen_after, seconds)

    def _reopen_after(self, seconds: float) -> None:
        if not self._stopped.wait(seconds):
            self.open()

    def stop(self) -> None:
        """Close everything and wait for the threads to end."""
        self._stopped.set()
        with self._lock:
            for listener in (self._listener, self._reserved):
                if listener is not None:
                    _shut(listener)
                    listener.close()
            self._listener = self._reserved = None
            threads = list(self._connections.values())
            for connection in self._connections:
                _shut(connection)
        for thread in [*threads, *self._helpers]:
            thread.join(_JOIN_S)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(
            target=target, args=arguments, daemon=True, name=f"mangadex_sim{target.__name__}"
        )
        self._helpers = [*(each for each in self._helpers if each.is_alive()), thread]
        thread.start()

    # --- connections ---------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # shut down by refuse or stop
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(KEEP_ALIVE_S)
            self._adopt(connection)

    def _adopt(self, connection: socket.socket) -> None:
        thread = threading.Thread(
            target=self._serve, args=(connection,), daemon=True, name="mangadex_sim_connection"
        )
        with self._lock:
            if self._stopped.is_set() or self._listener is None:
                connection.close()
                return
            self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as reader:
                while not self._stopped.is_set():
                    request = read_request(reader)
                    if request is None or not self._respond(connection, request):
                        return
        except BadRequestError as error:
            reply = Reply(400, str(error).encode(), PLAIN)
            _send_quietly(lambda: write_reply(connection, reply, False, self._stopped))
        except OSError:
            return  # the client, or our own stop, closed the connection
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()

    def _respond(self, connection: socket.socket, request: Request) -> bool:
        """Answer one request; return whether the connection can be used again."""
        outcome = "failed"
        try:
            reply, due_s = self._handler.handle(request)
            self._stopped.wait(max(0.0, due_s - time.monotonic()))
            outcome = str(reply.status) if reply.manner is Manner.PLAIN else reply.manner.value
        except Exception:  # one failed request must not end the server
            log.exception("request failed target=%s", request.target[:200])
            return False
        finally:
            # Before the first byte is sent, so that a client that has its answer finds it counted.
            self._handler.finish(request, outcome)
        if request.method == "HEAD":
            reply = replace(reply, body=b"")
        return write_reply(connection, reply, request.keep_alive, self._stopped)


def _shut(endpoint: socket.socket) -> None:
    """Wake whoever blocks on a socket."""
    _send_quietly(lambda: endpoint.shutdown(socket.SHUT_RDWR))


def _send_quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except OSError:
        return
