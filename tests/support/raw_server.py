"""A server for tests that sends prescribed answers byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

BODY = b'{"result":"ok"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + BODY

Handler = Callable[["RawServer", socket.socket], None]


class RawServer:
    """Hands every connection to a function, one after the other, and keeps what was asked."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1") -> None:
        self.stopped = threading.Event()
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = 0  # connections
        self._handler = handler
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def read(self, connection: socket.socket) -> bytes:
        """The next request's head, empty if the client has gone."""
        head = b""
        while b"\r\n\r\n" not in head and (more := connection.recv(65_536)):
            head += more
        if head:
            self.requests.append(head)
        return head

    def close(self) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(10)
            with connection, suppress(OSError):
                self._handler(self, connection)
            self.ended += 1


def answering(*answers: bytes) -> Handler:
    """A keep-alive server: one answer after the other, the last one for all that follow."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            place = min(len(server.requests), len(answers)) - 1
            connection.sendall(answers[place])

    return handle


def answering_once(answer: bytes) -> Handler:
    """Close the connection after an answer, without having said so."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        if server.read(connection):
            connection.sendall(answer)

    return handle


def drip(*parts: bytes) -> Handler:
    """Send the first part at once, and of the second a byte now and then."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(parts[0])
        for start in range(len(parts[1])):
            if server.stopped.wait(0.02):
                return
            connection.sendall(parts[1][start : start + 1])

    return handle


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class Departures:
    """Counts what leaves, as the gate does."""

    def __init__(self) -> None:
        self.count = 0
        self.before: Callable[[], None] = lambda: None

    @contextmanager
    def departure(self) -> Iterator[None]:
        self.before()
        self.count += 1
        yield
