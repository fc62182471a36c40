"""What a sending process may reach and read, whatever library it uses.

Python announces each connection and each opened file by an audit event before it happens. The hook
set here raises for what is not allowed, and cannot be taken away again: a process that has called
`confine` does nothing but send. The address that is checked is the very one that is connected to,
so that neither a redirect nor a name that changes its address gets past it.
"""

from __future__ import annotations

import os
import smtplib
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import requests.sessions
from requests.adapters import HTTPAdapter

from notify_server.channels.failures import NotAllowed, Seen, TooMuch
from readers.channels.addresses import Policy, is_private

MOST_ANSWERED = 1024 * 1024  # bytes, in all answers of one delivery
CONNECT_S, READ_S = 5.0, 10.0
_COMMANDS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")
_READABLE = ("/etc/ssl", "/etc/pki", "/etc/mime.types", "/usr/share/zoneinfo", "/usr/lib/ssl")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Limits:
    """What the delivery that is under way may do, and what was seen of it."""

    def __init__(self, modules: Sequence[ModuleType]) -> None:
        """Take the modules that may go on reading files from beside them."""
        places = [sys.prefix, sys.base_prefix, *_READABLE]
        places += [str(Path(m.__file__).parent) for m in modules if m.__file__]
        self._readable = tuple(os.path.realpath(place) + os.sep for place in places)
        self._policy = Policy((), False)
        self._read = 0
        self.seen = Seen()

    def begin(self, policy: Policy, server: str) -> None:
        """Begin a delivery."""
        self._policy, self._read, self.seen = policy, 0, Seen(server)

    def count_read(self, number: int) -> None:
        self._read += number
        if self._read > MOST_ANSWERED:
            error = TooMuch("answers too much")
            self.seen.note_error(error)
            raise error

    def check(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise NotAllowed if what Python is about to do is not."""
        if self._policy.kinds is None:  # trusted
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._check_address(arguments[1])
        elif event == "open":
            self._check_file(*arguments)
        elif event in _COMMANDS:
            raise NotAllowed("wants to start a program")

    def _check_address(self, address: Any) -> None:
        if address is None:  # of a datagram over a connected socket
            return
        host = str(address[0]) if isinstance(address, tuple) else ""
        if not (host.replace(".", "").isdigit() or ":" in host):
            raise NotAllowed("leads to something other than a numeric address")
        if not self._policy.is_private_allowed and is_private(host):
            raise NotAllowed(f"leads to the private address {host}, which is not allowed here")

    def _check_file(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        is_write = bool((flags or 0) & _WRITES) or bool(set(mode or "r") & set("wax+"))
        real = os.path.realpath(os.fsdecode(path))
        if real != os.devnull and (is_write or not real.startswith(self._readable)):
            raise NotAllowed("wants to open a file")


def confine(modules: Sequence[ModuleType]) -> Limits:
    """Bind this process to limits for good."""
    limits = Limits(modules)
    os.environ["NETRC"] = os.devnull  # no credentials of this machine's user
    socket.SocketIO = _counting(limits)  # type: ignore[misc]
    requests.sessions.HTTPAdapter = _watched(limits)
    _watch_mail(limits)
    sys.addaudithook(limits.check)
    return limits


def _counting(limits: Limits) -> type[socket.SocketIO]:
    class CountingIO(socket.SocketIO):
        """Reads no more than the limit; HTTP and SMTP both read through it."""

        def readinto(self, buffer: Any) -> int | None:
            number = super().readinto(buffer)
            limits.count_read(number or 0)
            return number

    return CountingIO


def _watched(limits: Limits) -> type[HTTPAdapter]:
    class WatchedAdapter(HTTPAdapter):
        """Sends as `requests` does, directly, and follows no redirect."""

        def send(self, request: requests.PreparedRequest, *_: Any, **how: Any) -> requests.Response:
            how |= {"stream": True, "timeout": (CONNECT_S, READ_S), "proxies": None}
            request.headers["Accept-Encoding"] = "identity"
            try:
                response = super().send(request, **how)
                # What is compressed nevertheless is not unpacked.
                response.raw.headers.discard("content-encoding")
                limits.seen.note_answer(response)
            except requests.RequestException as exc:
                limits.seen.note_error(exc)
                raise
            response.headers.pop("location", None)
            return response

    return WatchedAdapter


def _watch_mail(limits: Limits) -> None:
    getreply, connect, starttls = smtplib.SMTP.getreply, smtplib.SMTP.connect, smtplib.SMTP.starttls

    def watched_getreply(smtp: smtplib.SMTP) -> tuple[int, bytes]:
        code, text = getreply(smtp)
        limits.seen.note_mail_reply(code)
        return code, text

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return method(*arguments, **options)
            except OSError as exc:
                limits.seen.note_error(exc)
                raise

        return call

    smtplib.SMTP.getreply = watched(watched_getreply)  # type: ignore[method-assign]
    smtplib.SMTP.connect = watched(connect)  # type: ignore[method-assign]
    smtplib.SMTP.starttls = watched(starttls)  # type: ignore[method-assign]
