"""What a request meets before the API: agent, proxy, method, length; and bytes that are no HTTP."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import requests

from tests.mangadex_sim.conftest import Asker

Make = Callable[..., Asker]

AGENTS = {
    "": 400,
    "Mozilla/5.0 (Android 12) Kotatsu/9.7.8": 400,
    "mozilla/5.0": 400,
    "Kotatsu/9.7.8": 200,
    "MangaHub/1.0 (+https://example.org)": 200,
    "python-requests/2.32": 200,
}


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_must_be_named_and_no_browser(agent: str, asker: Asker) -> None:
    response = asker.get("/manga", headers={"User-Agent": agent})
    assert response.status_code == AGENTS[agent]
    if response.status_code == 400:
        assert response.text == "You must set an appropriate User-Agent header"
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_proxy_that_names_itself_is_refused(asker: Asker) -> None:
    assert asker.get("/ping", headers={"Via": "1.1 squid"}).status_code == 400


def test_a_bearer_token_is_no_obstacle(asker: Asker) -> None:
    assert asker.get("/ping", headers={"Authorization": "Bearer x"}).text == "pong"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_only_get_is_answered(method: str, asker: Asker) -> None:
    response = asker.session.request(method, asker.sim.url + "/manga", timeout=5)
    assert response.status_code == 405
    assert asker.get("/ping").status_code == 200, "the connection is still in step"


def test_a_hundred_ids_fit_into_a_url_and_much_more_does_not(asker: Asker) -> None:
    ids = asker.sim.title_ids(0, 60)
    encoded = "&".join(f"ids%5B%5D={each}" for each in (ids + ids)[:100])
    assert asker.get(f"/manga?limit=100&{encoded}").status_code == 200
    response = asker.get("/manga?title=" + "x" * 7_214)
    assert response.status_code == 414
    assert "text/html" in response.headers["Content-Type"]


def test_every_answer_has_a_request_id(asker: Asker) -> None:
    ids = [asker.get(target).headers["X-Request-ID"] for target in ("/ping", "/ping", "/no")]
    assert len(set(ids)) == 3


def talk(asker: Asker, data: bytes) -> bytes:
    """Send bytes, read until the server closes."""
    host, port = asker.sim.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


GET = b"GET /ping HTTP/1.1\r\nHost: x\r\nUser-Agent: t/1\r\n"
RAW: dict[str, tuple[bytes, bytes]] = {
    "HTTP/1.0 is closed after the answer": (
        b"GET /ping HTTP/1.0\r\nUser-Agent: t/1\r\n\r\n",
        b"Connection: close\r\n\r\npong",
    ),
    "two at once are answered in turn": (GET + b"\r\n" + GET + b"\r\n", b"pongHTTP/1.1 200 OK"),
    "a closing client gets its answer": (GET + b"Connection: close\r\n\r\n", b"pong"),
    "no HTTP at all": (b"hello\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", b"HTTP/1.1 400 Bad Request"),
    "no agent": (b"GET /ping HTTP/1.0\r\n\r\n", b"You must set an appropriate User-Agent header"),
    "an odd length": (GET + b"Content-Length: -5\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "a huge length": (GET + b"Content-Length: 99999999999\r\n\r\n", b"400 Bad Request"),
    "endless headers": (GET + b"X: y\r\n" * 150 + b"\r\n", b"HTTP/1.1 400 Bad Request"),
    "nothing": (b"", b""),
    "half a request line": (b"GET /pi", b"HTTP/1.1 400 Bad Request"),
    "bytes in the path": (b"GET /\xff\xfe HTTP/1.1\r\nUser-Agent: t/1\r\n\r\n", b"404 Not Found"),
    "an absolute target": (b"GET http://x/ping HTTP/1.1\r\nUser-Agent: t/1\r\n\r\n", b"404"),
    "percent signs": (b"GET /manga?title=%ff%00%zz HTTP/1.1\r\nUser-Agent: t/1\r\n\r\n", b"200 OK"),
}


@pytest.mark.parametrize("case", RAW)
def test_raw_bytes_get_a_fit_answer(case: str, asker: Asker) -> None:
    data, expected = RAW[case]
    answer = talk(asker, data)
    assert expected in answer and bool(expected) == bool(answer)
    assert asker.get("/ping").text == "pong"


def test_a_stopped_simulator_ends_its_connections_at_once(make_sim: Make) -> None:
    asker = make_sim(latency_s=0.01)
    idle = [Asker(asker.sim) for _ in range(5)]
    for each in idle:
        each.get("/ping")
    asker.sim.stop()
    for each in [asker, *idle]:
        with pytest.raises(requests.ConnectionError):
            each.get("/ping")
        each.session.close()
