"""The HTTP session of one process: paced requests, and limits on an answer's time and size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import requests
import urllib3

from batch.errors import TransientError, innermost
from batch.mangadex.responses import Response
from mangahub import __version__
from mangahub.paced_http import Departure, PacedAdapter

USER_AGENT = f"mangahub-sync/{__version__}"  # the API forbids posing as a browser
CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 30.0  # until the answer is complete
MAX_BODY = 32 * 1024 * 1024  # a page of 100 titles with all its references has 0.8 MB
_CHUNK = 64 * 1024

Parameters = Sequence[tuple[str, str]]


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
        adapter = PacedAdapter(departure, TIMEOUT_S)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, parameters: Parameters) -> Response:
        """Send one request and read its answer, whatever the status.

        Raises:
            TransientError: no connection, an answer cut short, too slow or too large.
        """
        return self._send("GET", path, _asked(path, parameters), params=list(parameters))

    def post(self, path: str, *, document: object = None, form: object = None) -> Response:
        """Send one request with a body, JSON or a form, which no message shows.

        Raises:
            TransientError: as `get`.
        """
        return self._send("POST", path, f"POST {path}", json=document, data=form)

    def _send(self, method: str, path: str, asked: str, **content: Any) -> Response:
        try:
            with self._session.request(
                method,
                self._api_url + path,
                **content,
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
