"""Clients that dribble, flood, lie about lengths, or have no key: they cost the others nothing."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from time import monotonic
from typing import Any

import pytest
import requests

from mangahub import waitress_channel, waitress_server
from tests.support.waiting import wait_until

Connect = Callable[..., socket.socket]
HEAD = b"POST /notify/new-manga HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def connect(server: Any) -> Iterator[Connect]:
    """`connect(b"GET /")` → a connection to the server that has sent this."""
    with ExitStack() as stack:

        def connect(sent: bytes = b"", to: Any = server) -> socket.socket:
            name, _, port = to.http.removeprefix("http://").rpartition(":")
            sock = stack.enter_context(socket.create_connection((name, int(port)), timeout=10))
            sock.sendall(sent)
            return sock

        yield connect


def answer_of(sock: socket.socket) -> tuple[int, Any]:
    answer = HTTPResponse(sock)
    answer.begin()
    return answer.status, json.loads(answer.read())


def is_closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    ("begun", "limit"),
    [
        (b"GET /healthz HTTP/1.1\r\nX: ", "HEAD_S"),
        (HEAD + b"Content-Length: 99\r\n\r\n", "REQUEST_S"),
    ],
    ids=["head", "body"],
)
@pytest.mark.parametrize(
    "more", [b" ", pytest.param(b"", marks=pytest.mark.slow)], ids=["dribbles", "falls silent"]
)
def test_a_request_that_never_ends_has_a_deadline(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, begun: bytes, limit: str, more: bytes
) -> None:
    monkeypatch.setattr(waitress_channel, limit, 0.2)
    sock = connect(begun)
    sock.settimeout(0.05)
    deadline = monotonic() + 10
    while monotonic() < deadline:
        try:
            sock.sendall(more)
            if is_closed(sock):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("the connection is still open")


def test_the_key_is_looked_at_before_the_body_has_come(
    start_server: Callable[..., Any], connect: Connect
) -> None:
    server = start_server({"NOTIFY_API_KEY": "sesame"})
    for key, status in (("", 401), ("Authorization: Bearer wrong\r\n", 401)):
        head = HEAD + f"{key}Content-Length: 900000\r\n\r\n".encode()
        sock = connect(head, to=server)
        assert answer_of(sock)[0] == status
        assert is_closed(sock)


@pytest.mark.parametrize("size", [10, 60_000, 1_500_000])
def test_an_answer_before_the_body_is_not_lost(start_server: Callable[..., Any], size: int) -> None:
    server = start_server({"NOTIFY_API_KEY": "sesame"})
    for _ in range(5):
        answer = requests.post(f"{server.http}/notify/batch", data=b" " * size, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "head",
    [
        b"POST /notify/batch HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /notify/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"POST /notify/batch HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /notify/batch HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
    ids=["length first", "encoding first", "HTTP/1.0", "two lengths"],
)
def test_a_body_with_two_lengths_is_rejected_and_the_connection_closed(
    connect: Connect, head: bytes
) -> None:
    sock = connect(head + b"0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n")
    status, body = answer_of(sock)
    assert (status, list(body)) == (400, ["error"])
    assert is_closed(sock)


def test_bodies_are_kept_in_memory(connect: Connect) -> None:
    before = descriptors()
    for _ in range(20):
        connect(HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 300_000)
    wait_until(lambda: descriptors() >= before + 40)  # both ends of each
    assert descriptors() == before + 40


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) - 1


def test_where_there_are_too_many_connections_one_that_waits_makes_room(
    connect: Connect, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitress_server, "_MAX_CONNECTIONS", 20)
    dribbling = [connect(b"GET /healthz HTTP/1.1\r\nX: ") for _ in range(40)]
    for _ in range(5):
        assert requests.get(f"{server.http}/healthz", timeout=2).status_code == 200
    wait_until(lambda: sum(map(is_open, dribbling)) < 20)


def is_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_without_descriptors_there_is_one_line_and_no_spinning(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    name, _, port = server.http.removeprefix("http://").rpartition(":")
    clients = [socket.socket() for _ in range(3)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() - 1, usual[1]))
    try:
        for client in clients:
            client.connect((name, int(port)))
        wait_until(lambda: "No connection can be accepted" in caplog.text)
        before = caplog.text.count("No connection can be accepted")
        began = monotonic()
        wait_until(lambda: caplog.text.count("No connection") > before or monotonic() > began + 0.5)
        assert caplog.text.count("No connection can be accepted") == before == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert requests.get(f"{server.http}/healthz", timeout=5).status_code == 200
    for client in clients:
        client.close()
