"""waitress in a thread; its stop finishes what is being answered."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from mangahub.waitress_channel import HttpConnection

log = logging.getLogger(__name__)

THREADS = 8
# More than any route accepts: waitress also counts the frames of a chunked body.
_MAX_BODY = 2 * 1024 * 1024
_IDLE_TIMEOUT_S = 30
_MAX_CONNECTIONS = 500  # with those to the database below the usual 1,024 descriptors
_REST_S = 1.0
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_FLUSH_S = 1.0


class _Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """The threads that answer: several for all requests, and one for those to quick paths.

    These never wait for the database, and are answered while it hangs.
    """

    def __init__(self, quick_paths: Collection[str]) -> None:
        super().__init__()
        self._quick_paths = quick_paths
        self.set_thread_count(THREADS)
        self._quick = ThreadedTaskDispatcher()
        self._quick.set_thread_count(1)

    def add_task(self, task: HttpConnection) -> None:
        if getattr(task.requests[0], "path", None) in self._quick_paths:
            self._quick.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self._quick.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """Accepts connections; if there are too many, one that waits is closed for a new one.

    Attributes:
        allows: whether a request with this path and this Authorization may send a body.
        uploads: how many bytes, by the paths that take more than others.
    """

    channel_class = HttpConnection
    allows: Callable[[str, str], bool]
    uploads: Mapping[str, int]
    _rests_until_s = 0.0

    def readable(self) -> bool:
        return bool(super().readable()) and monotonic() >= self._rests_until_s

    def maintenance(self, now: float) -> None:
        """Close connections that are idle, and those whose request is late; called now and then."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            channel.will_close |= channel.is_late

    def handle_accept(self) -> None:
        if len(self.active_channels) >= _MAX_CONNECTIONS:
            self._close_one()
        try:
            accepted = self.accept()
        except OSError as exc:
            if exc.errno in _OUT_OF_RESOURCES:
                self._rest(exc)
            return
        if accepted is not None:
            connection, address = accepted
            self.set_socket_options(connection)
            self.channel_class(self, connection, address, self.adj, map=self._map)

    def _rest(self, exc: OSError) -> None:
        """Accept nothing for a while: the socket stays readable, and polling would spin."""
        log.error("No connection can be accepted, closing one that waits reason=%r", exc.strerror)
        self._rests_until_s = monotonic() + _REST_S
        self._close_one()

    def _close_one(self) -> None:
        """Close a connection that waits: of the address that has most of them, the oldest."""
        waiting = [c for c in self.active_channels.values() if c.is_waiting]
        by_address = Counter(c.addr[0] for c in waiting)
        if waiting:
            max(waiting, key=lambda c: (by_address[c.addr[0]], -c.creation_time)).handle_close()


class WebServer:
    """Serves the application on a bound socket.

    Args:
        allows: whether a request with this path and this Authorization may send a body.
        quick_paths: those that never wait for the database.
        uploads: paths that take more than others, and how many bytes; these are kept in a file.
    """

    def __init__(
        self,
        app: Flask,
        sock: socket.socket,
        allows: Callable[[str, str], bool],
        quick_paths: Collection[str],
        uploads: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        settings = Adjustments(
            sockets=[sock],
            asyncore_use_poll=True,
            channel_timeout=_IDLE_TIMEOUT_S,
            cleanup_interval=5,
            connection_limit=2 * _MAX_CONNECTIONS,  # never reached: a connection is closed before
            max_request_body_size=_MAX_BODY,
            inbuf_overflow=2 * _MAX_BODY,  # so that no body is kept in a file but uploads
            log_socket_errors=False,
            clear_untrusted_proxy_headers=False,  # the application knows which it may believe
            ident=None,
        )
        place = (sock.family, sock.type, sock.proto, sock.getsockname())
        self._server: Any = _Server(
            app,
            dispatcher=_Dispatcher(quick_paths),
            adj=settings,
            _sock=sock,
            bind_socket=False,
            sockinfo=place,
        )
        self._server.allows = allows
        self._server.uploads = uploads
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
