"""The HTTP session of one process: paced requests, and limits on an answer's time and size."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from batch.errors import TransientError, innermost
from batch.mangadex.responses import Response
from mangahub import __version__

USER_AGENT = f"mangahub-sync/{__version__}"  # the API forbids posing as a browser
CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 30.0  # until the answer is complete
MAX_BODY = 32 * 1024 * 1024  # a page of 100 titles with all its references has 0.8 MB
_CHUNK = 64 * 1024

Parameters = Sequence[tuple[str, str]]


class Departure(Protocol):
    """Holds a request back until it may leave."""

    def departure(self) -> AbstractContextManager[None]: ...


class Session:
    """A pooled `requests` session to one source.

    Args:
        api_url: the base of all paths.
        api_key: sent as a bearer token when given.
        departure: entered when the connection is open, around the sending of a request's bytes.
    """

    def __init__(self, api_url: str, api_key: str | None, departure: Departure) -> None:
        self._api_url = api_url
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        self._session.headers["Accept"] = "application/json"
        # Set also without a key: otherwise `requests` sends what ~/.netrc has for the host.
        self._session.auth = _Bearer(api_key)
        adapter = _PacedAdapter(departure)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, parameters: Parameters) -> Response:
        """Send one request and read its answer, whatever the status.

        Raises:
            TransientError: no connection, an answer cut short, too slow or too large.
        """
        asked = _asked(path, parameters)
        try:
            with self._session.get(
                self._api_url + path,
                params=list(parameters),
                timeout=(CONNECT_TIMEOUT_S, TIMEOUT_S),
                allow_redirects=False,  # a redirect would be a second request, and not counted
                stream=True,
            ) as response:
                body = _read(response, asked)
                return Response(asked, response.status_code, response.headers, body)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            raise TransientError(f"{asked} failed: {innermost(exc)}") from exc


def _read(response: requests.Response, asked: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY:
            raise TransientError(f"{asked} was answered with more than {MAX_BODY >> 20} MiB")
    return b"".join(chunks)


def _asked(path: str, parameters: Parameters) -> str:
    """Return the request on one line, cut if a list of ids makes it long."""
    query = "&".join(f"{name}={value}" for name, value in parameters)
    text = f"GET {path}?{query}" if query else f"GET {path}"
    return text if len(text) <= 300 else f"{text[:300]}…"


class _Bearer(requests.auth.AuthBase):
    """The only credentials that are ever sent."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


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
    """An answer whose head and body have to arrive within TIMEOUT_S altogether."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_TimelyStream(raw, sock, time.monotonic() + TIMEOUT_S))


class _PacedAdapter(HTTPAdapter):
    """Connections that connect first, then wait for their departure, and send at once.

    Connecting takes one to three round trips of varying length: with departures reserved before
    it, two requests could leave closer together than their departures.
    """

    def __init__(self, departure: Departure) -> None:
        self._departure = departure
        super().__init__(max_retries=0)  # retries of the library would bypass the gate

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _paced_pools(self._departure)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return a proxy's pools, whose requests wait for their departure too."""
        if proxy.lower().startswith("socks"):
            raise requests.exceptions.InvalidProxyURL("a SOCKS proxy cannot be used")
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _paced_pools(self._departure)
        return manager

    def close(self) -> None:
        """Close the connections now; the library waits until nothing refers to their pools."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():
                manager.pools[key].close()
        super().close()


def _paced_pools(departure: Departure) -> dict[str, type[HTTPConnectionPool]]:
    class Paced(HTTPConnection):
        response_class = _TimelyResponse

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
