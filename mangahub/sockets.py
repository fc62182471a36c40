"""The sockets that servers listen on, and which addresses mean this host only."""

from __future__ import annotations

import ipaddress
import socket

_BACKLOG = 1024


def listening(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    """Return a bound datagram or stream socket; `::` accepts IPv4 clients too.

    Raises:
        OSError: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if address == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(socket.getaddrinfo(address, port, type=kind)[0][4])
        if kind is socket.SOCK_STREAM:  # only this fails if another server has the port
            sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def is_loopback(host: str) -> bool:
    """Return whether an address, also an IPv4 one in IPv6's form, or a name means this host."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
