"""The UDP socket: its buffers, answers to one client, and what the kernel dropped."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from notify_server.errors import PortTaken
from notify_server.udp.stats import Stats
from notify_server.wire.auth import Address

log = logging.getLogger(__name__)

_RECEIVE_BYTES = 16 * 2**20
_SEND_BYTES = 4 * 2**20
# Linux lets a privileged process exceed net.core.rmem_max; the socket module has no names for it.
_FORCE = {"SO_RCVBUF": 33, "SO_SNDBUF": 32}


def open_socket(address: str, port: int) -> socket.socket:
    """Return a bound datagram socket with large buffers; `::` takes IPv4 clients too.

    Raises:
        PortTaken: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if address == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        _set_buffer(sock, "SO_RCVBUF", _RECEIVE_BYTES)
        _set_buffer(sock, "SO_SNDBUF", _SEND_BYTES)
        sock.setblocking(False)
        sock.bind(socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0][4])
    except OSError as exc:
        sock.close()
        raise PortTaken("UDP", address, port, "UDP_PORT", exc) from exc
    return sock


def _set_buffer(sock: socket.socket, name: str, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _FORCE[name], size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), size)


def send(sock: socket.socket, stats: Stats, datagram: bytes, address: Address) -> None:
    """Send an answer to one client; if it cannot be sent, the client asks again."""
    try:
        try:
            sock.sendto(datagram, address)
        except ConnectionRefusedError:  # belongs to an earlier datagram: once more
            sock.sendto(datagram, address)
    except OSError as exc:
        log.debug("Sending failed address=%s reason=%s", address[0], exc)
        stats.send_errors += 1


def count_drops(sock: socket.socket) -> int:
    """Return how many datagrams the kernel dropped because the receive buffer was full."""
    inode = str(os.fstat(sock.fileno()).st_ino)
    table = "udp6" if sock.family == socket.AF_INET6 else "udp"
    try:
        # Not /proc/net, which a service that sees processes only (ProcSubset=pid) does not have.
        lines = Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    except OSError:
        return 0
    return next((int(f[-1]) for f in map(str.split, lines) if f[9] == inode), 0)
