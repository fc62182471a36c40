"""One HTTP connection of waitress: a request has a deadline, and a body is read from who may send.

waitress itself reads as slowly as a client sends, accepts a body before the key is checked, and
spools it to a file.
"""

from __future__ import annotations

import copy
import json
import socket
from contextlib import suppress
from time import monotonic
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask

# From a request's first byte to its last: a batch of 1 MiB takes 9 s at 1 Mbit/s.
HEAD_S = 10.0
REQUEST_S = 30.0
UPLOAD_S = 180.0  # 16 MiB at 1 Mbit/s
DRAIN_S = 2.0


class JsonErrorTask(ErrorTask):  # type: ignore[misc]  # waitress is not typed
    """Answers in JSON to what waitress itself rejects."""

    def execute(self) -> None:
        error = self.request.error
        body = json.dumps({"error": f"{error.reason}: {error.body}"}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request whose body is not waited for where the headers say that it will be rejected."""

    completed: bool  # waitress's own, as are the names below that stand nowhere here
    is_upload = False  # to a path that takes more than others

    def __init__(self, adj: Any, channel: HttpConnection) -> None:
        super().__init__(adj)
        self._channel = channel

    def received(self, data: bytes) -> int:
        consumed = int(super().received(data))
        if self.headers_finished and not self.completed and not self._may_send():
            self.headers["CONNECTION"] = "close"
            self.expect_continue = False
            self.completed = True  # the application answers, without the body
            self._channel.may_have_unread = True
        if self.error:
            self._channel.may_have_unread = True
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the head of the request.

        Raises:
            ParsingError: it is malformed, or gives its length in two ways, which two programs
                could read as two different requests (RFC 9112, section 6.1).
        """
        super().parse_header(header_plus)
        if (most := self._channel.server.uploads.get(self.path)) is not None:
            self.adj: Any = copy.copy(self.adj)
            self.adj.max_request_body_size = most
            self.is_upload = True
        if "CONTENT_LENGTH" in self.headers and (
            self.chunked or "TRANSFER_ENCODING" in self.headers
        ):
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")

    def _may_send(self) -> bool:
        allows = self._channel.server.allows
        return bool(allows(self.path, self.headers.get("AUTHORIZATION", "")))


class HttpConnection(HTTPChannel):  # type: ignore[misc]
    """A connection.

    Attributes:
        may_have_unread: whether a request was answered before all of it was read.
    """

    error_task_class = JsonErrorTask
    may_have_unread = False
    _began_s = 0.0  # when the request that is being read began
    _drains_until_s: float | None = None

    def parser_class(self, adj: Any) -> Parser:
        return Parser(adj, self)

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is being answered: the connection is idle, or has sent half a request."""
        return not self.requests and not self.total_outbufs_len

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._began_s = monotonic()
        elif self.is_late:
            self.will_close = True
            return False
        return bool(super().received(data))

    @property
    def is_late(self) -> bool:
        """Whether the request that is being read should have come by now."""
        request = self.request
        if request is None:
            return False
        whole_s = UPLOAD_S if request.is_upload else REQUEST_S
        limit_s = whole_s if request.headers_finished else HEAD_S
        return monotonic() - self._began_s > limit_s

    # Closing a socket with unread input resets the connection, and may lose the answer.

    def readable(self) -> bool:
        return self._drains_until_s is not None or bool(super().readable())

    def writable(self) -> bool:
        return self.will_close or (self._drains_until_s is None and bool(super().writable()))

    def handle_write(self) -> None:
        is_answered = self.close_when_flushed and not self.total_outbufs_len
        if is_answered and self.may_have_unread and self._drains_until_s is None:
            self._drains_until_s = monotonic() + DRAIN_S
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            return
        super().handle_write()

    def handle_read(self) -> None:
        if self._drains_until_s is None:
            super().handle_read()
            return
        with suppress(OSError):
            if self.recv(self.adj.recv_bytes) and monotonic() < self._drains_until_s:
                return
        self.handle_close()
