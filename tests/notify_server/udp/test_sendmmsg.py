"""Many datagrams with one call, over real sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from notify_server.udp.sendmmsg import CAPACITY, MessageVector, raw_address
from notify_server.wire.auth import Address


@pytest.fixture(params=["127.0.0.1", "::1"])
def sockets(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        with socket.socket(family, socket.SOCK_DGRAM) as two:
            for sock in (one, two):
                sock.bind((request.param, 0))
                sock.settimeout(5)
            yield one, two


def test_datagrams_arrive_whole_and_in_order(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    sender, receiver = sockets
    outgoing = MessageVector(sender)
    name = raw_address(receiver.getsockname())
    for round in range(3):
        bodies = [f"{round} {n} ".encode() * n for n in range(CAPACITY)]
        for body in bodies:
            outgoing.add(body, name)
        assert len(outgoing) == CAPACITY
        assert outgoing.flush() == []
        assert [receiver.recv(2000) for _ in bodies] == bodies
    assert outgoing.flush() == []


def test_one_that_cannot_be_sent_does_not_stop_the_others(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    sender, receiver = sockets
    outgoing = MessageVector(sender)
    good = raw_address(receiver.getsockname())
    bad = good[:2] + b"\0\0" + good[4:]  # port 0
    for n, name in enumerate((bad, good, bad, good, bad)):
        outgoing.add(b"%d" % n, name)
    assert outgoing.flush() == [0, 2, 4]
    assert [receiver.recv(100) for _ in range(2)] == [b"1", b"3"]


@pytest.mark.parametrize(
    "address",
    [
        ("127.0.0.1", 1),
        ("255.1.2.3", 65535),
        ("::1", 8082, 0, 0),
        ("fe80::1", 5, 0, 3),
        ("::ffff:127.0.0.1", 5, 7, 0),
    ],
)
def test_an_address_becomes_the_kernels_structure(address: Address) -> None:
    assert read_sockaddr(raw_address(address)) == address


def read_sockaddr(raw: bytes) -> Address:
    port = int.from_bytes(raw[2:4], "big")
    if len(raw) == 16:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), port
    flow, binary = struct.unpack("!I16s", raw[4:24])
    return socket.inet_ntop(socket.AF_INET6, binary), port, flow, *struct.unpack("=I", raw[24:28])
