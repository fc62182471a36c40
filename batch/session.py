"""The HTTP session of one process: every request leaves at its slot, bounded in time and size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from batch.answers import Answer
from batch.errors import SourceTrouble
from mangahub import __version__

USER_AGENT = f"mangahub-sync/{__version__}"  # must be true, and must not look like a browser
CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 30.0  # until an answer begins, and again until all of it has come
MAX_BODY = 32 * 1024 * 1024  # a page of 100 titles with all its references has 0.8 MB
_CHUNK = 64 * 1024

Parameters = Sequence[tuple[str, str]]


class Departure(Protocol):
    """Holds a request back until its slot is due."""

    def departure(self) -> AbstractContextManager[None]: ...


class Session:
    """A pooled `requests` session to one source.

    Args:
        api_url: where the paths begin.
        api_key: sent as a bearer token when given.
        departure: entered when a connection stands, around the sending of a request's bytes.
    """

    def __init__(self, api_url: str, api_key: str | None, departure: Departure) -> None:
        self._api_url = api_url
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        self._session.headers["Accept"] = "application/json"
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"
        adapter = _PacedAdapter(departure)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, parameters: Parameters) -> Answer:
        """Sends one request and reads its answer, whatever the status.

        Raises:
            SourceTrouble: no connection, an answer cut short, too slow or too large.
        """
        asked = _asked(path, parameters)
        try:
            with self._session.get(
                self._api_url + path,
                params=list(parameters),
                timeout=(CONNECT_TIMEOUT_S, TIMEOUT_S),
                allow_redirects=False,  # a redirect would be a second request that nobody counts
                stream=True,
            ) as response:
                body = _read(response, asked, time.monotonic() + TIMEOUT_S)
                return Answer(asked, response.status_code, response.headers, body)
        except requests.RequestException as exc:
            raise SourceTrouble(f"{asked} failed: {_cause(exc)}") from exc


def _read(response: requests.Response, asked: str, deadline_s: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY:
            raise SourceTrouble(f"{asked} was answered with more than {MAX_BODY >> 20} MiB")
        if time.monotonic() > deadline_s:
            raise SourceTrouble(f"{asked} was not answered in full within {TIMEOUT_S:.0f} s")
    return b"".join(chunks)


def _asked(path: str, parameters: Parameters) -> str:
    """The request on one line, cut where a list of ids makes it long."""
    query = "&".join(f"{name}={value}" for name, value in parameters)
    text = f"GET {path}?{query}" if query else f"GET {path}"
    return text if len(text) <= 300 else f"{text[:300]}…"


def _cause(exc: BaseException) -> str:
    """The innermost reason in one line: libraries wrap it several times."""
    inner: BaseException = exc
    while (below := _below(inner)) is not None:
        inner = below
    text = str(inner).split(": ", 1)[-1] if ">: " in str(inner) else str(inner)
    return f"{type(inner).__name__}: {' '.join(text.split())[:200]}"


def _below(exc: BaseException) -> BaseException | None:
    reason = getattr(exc, "reason", None)
    first = exc.args[0] if exc.args else None
    candidates = (reason, first, exc.__cause__)
    return next((c for c in candidates if isinstance(c, BaseException) and c is not exc), None)


class _PacedAdapter(HTTPAdapter):
    """Connections that connect first, wait for their slot then, and send at once.

    Connecting takes a round trip or three, and of changing length: counted from before it, two
    requests could leave closer together than their slots were.
    """

    def __init__(self, departure: Departure) -> None:
        self._departure = departure
        super().__init__(max_retries=0)  # retries in here would go past the gate

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]
        departure = self._departure.departure

        class PacedHTTP(HTTPConnection):
            def request(self, *args: object, **kwargs: object) -> None:
                if self.sock is None:
                    self.connect()
                with departure():
                    super().request(*args, **kwargs)  # type: ignore[arg-type]

        class PacedHTTPS(HTTPSConnection):
            def request(self, *args: object, **kwargs: object) -> None:
                if self.sock is None:
                    self.connect()
                with departure():
                    super().request(*args, **kwargs)  # type: ignore[arg-type]

        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PacedPool", (HTTPConnectionPool,), {"ConnectionCls": PacedHTTP}),
            "https": type("PacedTLSPool", (HTTPSConnectionPool,), {"ConnectionCls": PacedHTTPS}),
        }
