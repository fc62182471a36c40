"""The HTTP session: what is sent, and one paced request a call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import mangahub
from batch.errors import Stopped
from batch.mangadex.http import Session
from tests.support.raw_server import (
    BODY,
    OK,
    Departures,
    RawServer,
    answering,
    answering_once,
    headers_of,
)
from tests.support.waiting import wait_until

# --- what is sent ------------------------------------------------------------------------------


def test_a_request_says_who_asks_and_nothing_that_the_source_forbids(
    serve: Callable[..., RawServer], open_session: Callable[..., Session]
) -> None:
    server = serve(answering(OK))
    answer = open_session(server.url).get("/manga", [("ids[]", "a b"), ("ids[]", "c")])
    assert (answer.status, answer.body, answer.is_json) == (200, BODY, True)
    assert answer.asked == "GET /manga?ids[]=a b&ids[]=c"
    [request] = server.requests
    assert request.startswith(b"GET /manga?ids%5B%5D=a+b&ids%5B%5D=c HTTP/1.1\r\n")
    headers = headers_of(request)
    assert headers["user-agent"] == f"mangahub-sync/{mangahub.__version__}"
    assert headers["accept"] == "application/json"
    assert not {"via", "cookie", "authorization", "if-none-match"} & set(headers)
    assert b"Mozilla" not in request


def test_a_key_is_sent_as_a_bearer_token(
    serve: Callable[..., RawServer], open_session: Callable[..., Session]
) -> None:
    server = serve(answering(OK))
    open_session(server.url, "s3cret").get("/manga", [])
    assert headers_of(server.requests[0])["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(("key", "sent"), [("s3cret", "Bearer s3cret"), (None, None)])
def test_credentials_in_netrc_are_not_ours_to_send(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    key: str | None,
    sent: str | None,
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(answering(OK))
    open_session(server.url, key).get("/manga", [])
    assert headers_of(server.requests[0]).get("authorization") == sent


@pytest.mark.parametrize("prefix", ["", "/api/v5"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_source_may_be_any_address_and_lie_below_a_path(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], host: str, prefix: str
) -> None:
    server = serve(answering(OK), host)
    assert open_session(server.url + prefix).get("/manga", []).status == 200
    assert server.requests[0].startswith(f"GET {prefix}/manga HTTP/1.1".encode())


def test_a_long_list_of_ids_does_not_make_a_long_message(
    serve: Callable[..., RawServer], open_session: Callable[..., Session]
) -> None:
    server = serve(answering(OK))
    answer = open_session(server.url).get("/manga", [("ids[]", "x" * 36)] * 100)
    assert len(answer.asked) == 301
    assert server.requests[0].count(b"ids%5B%5D") == 100


# --- connections -------------------------------------------------------------------------------


def test_one_connection_serves_many_requests_each_with_its_departure(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    server = serve(answering(OK))
    session = open_session(server.url)
    for _ in range(5):
        session.get("/manga", [])
    assert (server.connections, len(server.requests), departures.count) == (1, 5, 5)


def test_a_connection_is_open_before_its_request_waits_for_a_departure(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    connected = threading.Event()

    def handle(server: RawServer, connection: socket.socket) -> None:
        connected.set()
        answering(OK)(server, connection)

    departures.before = lambda: pytest.fail("not connected") if not connected.wait(5) else None
    server = serve(handle)
    assert open_session(server.url).get("/manga", []).status == 200


def test_a_connection_that_the_server_has_closed_is_replaced_without_a_failure(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    server = serve(answering_once(OK))
    session = open_session(server.url)
    for number in (1, 2, 3):
        assert session.get("/manga", []).status == 200
        assert (server.connections, departures.count) == (number, number)
        wait_until(lambda number=number: server.ended == number)  # type: ignore[misc]


def test_a_redirect_is_an_answer_and_no_second_request(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    server = serve(answering(moved))
    answer = open_session(server.url).get("/manga", [])
    assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
    assert (len(server.requests), departures.count) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", 404),
        (b"HTTP/1.1 500 Oh no\r\nContent-Length: 0\r\n\r\n", 500),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n%s\r\n0\r\n\r\n" % BODY, 200),
    ],
    ids=["204", "404", "500", "chunked"],
)
def test_whatever_the_status_the_answer_is_handed_back_and_the_connection_kept(
    serve: Callable[..., RawServer],
    open_session: Callable[..., Session],
    answer: bytes,
    status: int,
) -> None:
    server = serve(answering(answer, OK))
    session = open_session(server.url)
    assert session.get("/manga", []).status == status
    assert session.get("/manga", []).body == BODY
    assert server.connections == 1


def test_being_stopped_before_the_departure_sends_nothing(
    serve: Callable[..., RawServer], open_session: Callable[..., Session], departures: Departures
) -> None:
    def stop() -> None:
        raise Stopped(15)

    departures.before = stop
    server = serve(answering(OK))
    with pytest.raises(Stopped):
        open_session(server.url).get("/manga", [])
    assert server.requests == []
