"""The sockets that servers listen on, and which addresses mean this host only."""

from __future__ import annotations

import errno
import ipaddress
import socket

from mangahub.env import NotAllowed

_BACKLOG = 1024
_BROADCAST = ipaddress.ip_address("255.255.255.255")


class PortTaken(Exception):
    """A socket cannot be bound; the text is one line that names the variable that helps."""


def bind(
    kind: socket.SocketKind, address: str, port: int, *, port_setting: str, address_setting: str
) -> socket.socket:
    """Return a bound socket, as `listening` does.

    Args:
        port_setting, address_setting: the variables that these come from.

    Raises:
        PortTaken: it cannot be bound.
    """
    try:
        return listening(kind, address, port)
    except OSError as exc:
        protocol = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
        cure = f"stop what listens there, or set {port_setting}"
        if exc.errno == errno.EADDRNOTAVAIL:
            cure = f"set {address_setting} to an address of this host"
        raise PortTaken(
            f"{protocol} port {port} of {address} cannot be used ({exc.strerror}): {cure}"
        ) from exc


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


def host_address(text: str) -> str:
    """Return a numeric address that a host can have; of a host name the first one."""
    try:
        plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        found = socket.getaddrinfo(plain, None, type=socket.SOCK_DGRAM)[0][4]
    except (OSError, UnicodeError):
        raise NotAllowed("an IPv4 or IPv6 address of this host, or its name") from None
    address = ipaddress.ip_address(str(found[0]).partition("%")[0])
    if address.is_multicast or address == _BROADCAST:
        raise NotAllowed("an address of this host alone, not one of many hosts")
    if address.version == 4 or not address.is_link_local:
        return str(address)
    if not (interface := int(found[-1])):
        raise NotAllowed("a link-local address with its interface, such as fe80::1%eth0")
    return f"{address}%{interface}"


def shown(sock: socket.socket) -> str:
    """Return a socket's own `host:port`, as it stands in a URL."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
