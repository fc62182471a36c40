"""What the stream process refuses: bad requests, bad tickets, too many streams, slow readers."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from uuid import uuid4

import pytest

from tests.support.waiting import wait_until
from tests.website.streams.conftest import SECRET, Scene
from website.security.tickets import Ticket, make_ticket
from website.streams import limits, server
from website.streams.requests import MAX_HEAD_BYTES


def ask(scene: Scene, raw: bytes) -> bytes:
    """Return all that is answered to these bytes."""
    with socket.create_connection(("127.0.0.1", scene.port), 8) as sock:
        sock.sendall(raw)
        found = b""
        while data := sock.recv(65_536):
            found += data
        return found


def ticket() -> str:
    return make_ticket(SECRET, Ticket(None), time.time())


HOST = b"Host: x\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST, 404),
        (b"GET /events HTTP/1.1\r\n" + HOST, 404),
        (b"GET /events?ticket= HTTP/1.1\r\n" + HOST, 404),
        (b"GET /events?ticket=" + b"A" * 50 + b" HTTP/1.1\r\n" + HOST, 404),
        (b"GET /feeds/" + b"a" * 32 + b"/events HTTP/1.1\r\n" + HOST, 404),
        (b"GET /feeds/../events HTTP/1.1\r\n" + HOST, 404),
        (b"GET /healthz HTTP/1.1\r\n" + HOST, 200),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"HEAD /events HTTP/1.1\r\n" + HOST, 405),
        (b"POST /events HTTP/1.1\r\nContent-Length: 0\r\n" + HOST, 405),
        (b"OPTIONS /events HTTP/1.1\r\n" + HOST, 405),
        (b"POST /events HTTP/1.1\r\nContent-Length: 5\r\n" + HOST + b"hello", 400),
        (b"GET /events HTTP/1.1\r\nContent-Length: 1\r\n" + HOST, 400),
        (b"GET /events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST, 400),
        (b"GET /events HTTP/1.1\r\n\r\n", 400),
        (b"GET /events HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /events HTTP/2\r\n" + HOST, 400),
        (b"get /events HTTP/1.1\r\n" + HOST, 400),
        (b"GET http://x/events HTTP/1.1\r\n" + HOST, 400),
        (b"GET /events\xff HTTP/1.1\r\n" + HOST, 400),
        (b"GET  /events HTTP/1.1\r\n" + HOST, 400),
        (b"GET /events HTTP/1.1\r\nName : x\r\n" + HOST, 400),
        (b"GET /events HTTP/1.1\r\nA: b\r\n folded\r\n" + HOST, 400),
        (b"GET /events HTTP/1.1\r\nA: b\nC: d\r\n" + HOST, 400),
        (b"GET /events HTTP/1.1\r\nA: b\0\r\n" + HOST, 400),
        (b"GET /events?" + b"&".join([b"a=b"] * 20) + b" HTTP/1.1\r\n" + HOST, 400),
        (b"GET /events?ticket=%ff HTTP/1.1\r\n" + HOST, 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"GET / HTTP/1.1\r\n" + HOST, 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n" + HOST, 431),
        (b"a" * (MAX_HEAD_BYTES + 1), 431),
    ],
)
def test_a_request_is_read_strictly(scene: Scene, raw: bytes, status: int) -> None:
    answer = ask(scene, raw)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"nosniff" in answer and b"default-src 'none'" in answer


@pytest.mark.parametrize(
    ("age_s", "secret", "status"),
    [(540, SECRET, 200), (601, SECRET, 404), (0, "another secret", 404)],
)
def test_a_ticket_is_good_for_ten_minutes(
    scene: Scene, age_s: int, secret: str, status: int
) -> None:
    made = make_ticket(secret, Ticket(uuid4()), time.time() - age_s)
    with scene.connect(f"/events?ticket={made}") as client:
        assert client.status == status


def test_a_changed_ticket_is_none(scene: Scene) -> None:
    made = ticket()
    for place in range(0, len(made) - 1, 7):
        other = "B" if made[place] == "A" else "A"
        with scene.connect(f"/events?ticket={made[:place]}{other}{made[place + 1 :]}") as client:
            assert client.status == 404


def test_a_reader_holds_16_streams(scene: Scene) -> None:
    reader = scene.add_reader("anna")
    private = "B" * 32
    scene.servers[-1].private[private] = reader
    clients = [scene.open(reader).ready() for _ in range(limits.MOST_OF_A_READER)]
    assert scene.open(reader).status == 429
    assert scene.connect(f"/feeds/{private}/events").status == 429
    assert scene.open(scene.add_reader("bert")).status == 200
    clients[0].close()
    wait_until(lambda: scene.open(reader).status == 200)


def test_an_address_holds_64_streams(scene: Scene) -> None:
    scene.servers[-1].stop()
    scene.serve(proxies=1)
    for _ in range(limits.MOST_OF_AN_ADDRESS):
        assert scene.open(headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.1"}).status == 200
    refused = scene.open(headers={"X-Forwarded-For": "192.0.2.1"})
    assert (refused.status, refused.answer_headers["retry-after"]) == (429, "30")
    assert scene.open(headers={"X-Forwarded-For": "192.0.2.1, 192.0.2.2"}).status == 200


def test_nobody_writes_his_own_address(scene: Scene) -> None:
    for i in range(limits.MOST_OF_AN_ADDRESS):
        assert scene.open(headers={"X-Forwarded-For": f"192.0.2.{i}"}).status == 200
    assert scene.open(headers={"X-Forwarded-For": "192.0.2.200"}).status == 429


def test_streams_are_limited_in_all(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_IN_ALL", 3)
    for _ in range(3):
        assert scene.open().status == 200
    assert scene.open().status == 429


def test_who_sends_no_request_is_asked_to_leave(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    answer = ask(scene, b"GET /events HTTP/1.1\r\nHost: x\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_idle_connections_do_not_keep_others_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_PENDING", 5)
    idle = [socket.create_connection(("127.0.0.1", scene.port), 8) for _ in range(20)]
    assert scene.open().status == 200
    for sock in idle:
        sock.close()


def test_a_slow_reader_is_dropped_and_holds_up_nobody(scene: Scene) -> None:
    reader = scene.add_reader("anna")
    slow, quick = scene.open(reader, buffer_bytes=4_096).ready(), scene.open(reader).ready()
    for number in range(1, 1_000):
        scene.publish(number)
        quick.events(1)
        if scene.servers[-1].server.count == 1:
            break
    assert scene.servers[-1].server.count == 1
    with suppress(ConnectionError):
        while slow.block():
            pass
    scene.publish(3_000)
    with scene.open(reader, slow.last_id) as again:  # and misses nothing
        heard = [event.data["data"]["chapter"] for event in again.events(1)]
        while heard[-1] != 3_000:
            heard += [event.data["data"]["chapter"] for event in again.events(1)]
    assert heard == [*range(heard[0], number + 1), 3_000]


def test_who_sends_more_than_a_request_is_dropped(scene: Scene) -> None:
    client = scene.open().ready()
    client.sock.sendall(b"x")
    wait_until(lambda: scene.servers[-1].server.count == 0)
