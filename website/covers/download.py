"""One picture from the source: paced, small, quick, and from no other host."""

from __future__ import annotations

from datetime import timedelta

import requests
import urllib3

from mangahub import __version__
from mangahub.paced_http import Departure, PacedAdapter
from mangahub.retry_after import retry_after

MAX_BYTES = 2 * 1024 * 1024
TIMEOUT_S = 10.0
_DEFAULT_PAUSE = timedelta(seconds=60)
_CHUNK = 64 * 1024


class Absent(Exception):
    """The source has no such picture, or one that is refused; asked again tomorrow."""


class Limited(Exception):
    """The source asks all callers to wait.

    Attributes:
        span: for how long.
    """

    def __init__(self, span: timedelta) -> None:
        super().__init__(f"the source asks to wait for {span.total_seconds():.0f} s")
        self.span = span


class Unavailable(Exception):
    """The picture cannot be had now."""


class _NoCredentials(requests.auth.AuthBase):
    """Otherwise `requests` sends what ~/.netrc has for the host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Downloads:
    """A session to the source of covers."""

    def __init__(self, covers_url: str, departure: Departure) -> None:
        self._url = covers_url
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"mangahub-sync/{__version__}"
        self._session.auth = _NoCredentials()
        adapter = PacedAdapter(departure, TIMEOUT_S)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        self._session.close()

    def get(self, path: str) -> bytes:
        """Return the picture's bytes.

        Raises:
            Absent, Limited, Unavailable: there are none.
        """
        try:
            with self._session.get(
                self._url + path, timeout=TIMEOUT_S, allow_redirects=False, stream=True
            ) as response:
                _require_good(response)
                return _read(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            raise Unavailable(type(exc).__name__) from exc


def _require_good(response: requests.Response) -> None:
    status = response.status_code
    if status == 429:
        raise Limited(retry_after(response.headers) or _DEFAULT_PAUSE)
    if status >= 500 or status == 403:
        raise Unavailable(f"status {status}")
    if status != 200:  # 404, and redirects, which are not followed
        raise Absent(f"status {status}")
    length = response.headers.get("Content-Length", "0")
    if length.isdigit() and int(length) > MAX_BYTES:
        raise Absent(f"it has {int(length):,} bytes")


def _read(response: requests.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise Absent(f"it has more than {MAX_BYTES:,} bytes")
    return b"".join(chunks)
