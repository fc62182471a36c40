"""How many datagrams the kernel dropped is counted, also for a service that sees no /proc/net."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

# Fills the small buffer of a socket that nobody reads from.
_OVERFLOW = """
import socket, sys
from notify_server.udp import sockets
sockets._RECEIVE_BYTES = 4096
address = sys.argv[1]
with sockets.open_socket(address, 0) as sock, socket.socket(sock.family, sock.type) as sender:
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
