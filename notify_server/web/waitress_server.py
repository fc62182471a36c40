"""waitress in a thread, with a stop that finishes what is being answered and answers in JSON."""

from __future__ import annotations

import json
import logging
import socket
import threading
from time import monotonic
from typing import Any

from flask import Flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from notify_server.errors import PortTaken

log = logging.getLogger(__name__)

THREADS = 8
# Never wait for the database, so they have a thread of their own, and answer while it hangs.
_QUICK_PATHS = ("/healthz", "/metrics")
# More than any route takes: waitress counts the frames of a chunked body too.
_MAX_BODY = 2 * 1024 * 1024
_IDLE_TIMEOUT_S = 30
_MAX_CONNECTIONS = 1_000
_FLUSH_S = 1.0


def open_socket(address: str, port: int) -> socket.socket:
    """A bound stream socket.

    Raises:
        PortTaken: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][4])
        # Only now would a second server on the port be noticed.
        sock.listen(1024)
    except OSError as exc:
        sock.close()
        raise PortTaken("TCP", address, port, "UDP_HTTP_PORT", exc) from exc
    return sock


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]  # waitress is not typed
    """What waitress itself refuses is answered like everything else."""

    def execute(self) -> None:
        error = self.request.error
        body = json.dumps({"error": f"{error.reason}: {error.body}"}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _JsonChannel(HTTPChannel):  # type: ignore[misc]
    error_task_class = _JsonErrorTask


class _Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """The threads that answer: several for requests in general, one for the quick ones."""

    def __init__(self) -> None:
        super().__init__()
        self.set_thread_count(THREADS)
        self._quick = ThreadedTaskDispatcher()
        self._quick.set_thread_count(1)

    def add_task(self, task: HTTPChannel) -> None:
        if getattr(task.requests[0], "path", None) in _QUICK_PATHS:
            self._quick.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self._quick.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


class WebServer:
    """Serves the application on a bound socket."""

    def __init__(self, app: Flask, sock: socket.socket) -> None:
        self._server: Any = create_server(
            app,
            sockets=[sock],
            _dispatcher=_Dispatcher(),
            asyncore_use_poll=True,
            channel_timeout=_IDLE_TIMEOUT_S,
            cleanup_interval=5,
            connection_limit=_MAX_CONNECTIONS,
            max_request_body_size=_MAX_BODY,
            inbuf_overflow=64 * 1024,
            log_socket_errors=False,
            ident=None,
        )
        self._server.channel_class = _JsonChannel
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http")

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, timeout_s: float) -> None:
        """Take no new connection, finish what was received, close. May be called twice."""
        if self._stop.is_set():
            return
        deadline = monotonic() + timeout_s
        self._server.accepting = False
        self._wait(lambda: not self._is_busy(), deadline)
        self._server.task_dispatcher.shutdown(False, max(0.0, deadline - monotonic()))
        self._wait(lambda: not self._has_output(), min(deadline, monotonic() + _FLUSH_S))
        self._stop.set()
        if self._thread.ident is not None:
            self._server.pull_trigger()
            self._thread.join()
        self._close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._server.asyncore.loop(
                    timeout=0.5, use_poll=True, map=self._server._map, count=1
                )
        except Exception:
            log.exception("The HTTP thread has failed")

    def _is_busy(self) -> bool:
        channels = list(self._server.active_channels.values())
        return bool(self._server.task_dispatcher.queue) or any(c.requests for c in channels)

    def _has_output(self) -> bool:
        return any(c.total_outbufs_len for c in list(self._server.active_channels.values()))

    def _wait(self, is_done: Any, deadline: float) -> None:
        while not is_done() and monotonic() < deadline and self._thread.is_alive():
            self._server.pull_trigger()
            self._stop.wait(0.01)

    def _close(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()
