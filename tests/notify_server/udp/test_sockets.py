"""Many datagrams with one call, and how many the kernel dropped, over real sockets."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from notify_server.udp.sockets import CAPACITY, MessageVector, raw_address
from notify_server.wire.auth import Address
from tests.support.paths import ROOT

# Fills the small buffer of a socket that nobody reads from.
_OVERFLOW = """
import socket, sys
from mangahub.sockets import listening
from notify_server.udp import sockets
sockets._RECEIVE_BYTES = 4096
with listening(socket.SOCK_DGRAM, sys.argv[1], 0) as sock:
    sockets.prepare(sock)
    sender = socket.socket(sock.family, sock.type)
    before = sockets.count_drops(sock)
    for _ in range(200):
        sender.sendto(b"x" * 1000, sock.getsockname())
    print(before, sockets.count_drops(sock) > 100)
"""


def count_drops(*prefix: str, address: str = "127.0.0.1") -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-c", _OVERFLOW, address]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_what_the_kernel_dropped_is_counted(address: str) -> None:
    if address == "::1" and not has_ipv6():
        pytest.skip("there is no IPv6 here")
    counted = count_drops(address=address)
    assert counted.stdout == "0 True\n", counted.stderr


@pytest.fixture
def only_processes() -> tuple[str, ...]:
    """What runs a program with a /proc as systemd's ProcSubset=pid makes it."""
    prefix = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t proc -o subset=pid proc /proc && exec "$@"',
        "sh",
    )
    is_possible = os.geteuid() == 0 and shutil.which("unshare") is not None
    if not is_possible or subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("may not mount")
    return prefix


def test_it_is_counted_where_proc_shows_processes_only(only_processes: tuple[str, ...]) -> None:
    shown = subprocess.run([*only_processes, "ls", "/proc/net/udp"], capture_output=True)
    counted = count_drops(*only_processes)
    assert counted.stdout == "0 True\n", counted.stderr
    assert shown.returncode != 0


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
