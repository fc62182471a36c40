"""HTTP whose requests wait for a departure, and whose answers have a deadline; for `requests`."""

from __future__ import annotations

import http.client
import io
import socket
import time
from contextlib import AbstractContextManager
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Departure(Protocol):
    """Holds a request back until it may leave."""

    def departure(self) -> AbstractContextManager[None]: ...


class _TimelyStream(io.RawIOBase):
    """Reads an answer's bytes until a deadline.

    A socket's own timeout restarts with each byte, so a server that sends one now and then could
    hold a caller for hours.
    """

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline_s: float) -> None:
        self._stream = stream
        self._sock = sock
        self._deadline_s = deadline_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._sock.settimeout(left_s)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _TimelyResponse(http.client.HTTPResponse):
    """An answer whose head and body have to arrive within `timeout_s` altogether."""

    timeout_s: float

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_TimelyStream(raw, sock, time.monotonic() + self.timeout_s))


class PacedAdapter(HTTPAdapter):
    """Connections that connect first, then wait for their departure, and send at once.

    Connecting takes one to three round trips of varying length: with departures reserved before
    it, two requests could leave closer together than their departures.

    Args:
        departure: entered when the connection is open, around the sending of a request's bytes.
        timeout_s: until an answer is complete.
    """

    def __init__(self, departure: Departure, timeout_s: float) -> None:
        self._departure = departure
        self._timeout_s = timeout_s
        super().__init__(max_retries=0)  # retries of the library would bypass the gate

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _paced_pools(self._departure, self._timeout_s)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return a proxy's pools, whose requests wait for their departure too."""
        if proxy.lower().startswith("socks"):
            raise requests.exceptions.InvalidProxyURL("a SOCKS proxy cannot be used")
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _paced_pools(self._departure, self._timeout_s)
        return manager

    def close(self) -> None:
        """Close the connections now; the library waits until nothing refers to their pools."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():
                manager.pools[key].close()
        super().close()


def _paced_pools(departure: Departure, timeout_s: float) -> dict[str, type[HTTPConnectionPool]]:
    class Timely(_TimelyResponse):
        pass

    Timely.timeout_s = timeout_s

    class Paced(HTTPConnection):
        response_class = Timely

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is None:
                self.connect()
            with departure.departure():
                super().request(*args, **kwargs)

    class PacedHTTPS(Paced, HTTPSConnection):
        """The same over TLS."""

    return {
        "http": type("PacedPool", (HTTPConnectionPool,), {"ConnectionCls": Paced}),
        "https": type("PacedTLSPool", (HTTPSConnectionPool,), {"ConnectionCls": PacedHTTPS}),
    }
