"""A server that plays ntfy, Discord, Telegram, Gotify, Matrix and webhooks on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import PATIENCE_S


@dataclass(frozen=True)
class Request:
    """What was sent."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, body: object, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(body).encode(), named)


# What the services answer when all is well, by the beginning of the path.
_USUAL = {
    "/api/webhooks/": Answer(204, b""),
    "/bot": Answer.of(200, {"ok": True, "result": {"message_id": 1}}),
    "/message": Answer.of(200, {"id": 1}),
    "/_matrix/client/v3/login": Answer.of(
        200, {"access_token": "t", "home_server": "h.example", "user_id": "@u:h.example"}
    ),
    "/_matrix/client/v3/join": Answer.of(200, {"room_id": "!r:h.example"}),
    "/_matrix": Answer.of(200, {"event_id": "$1", "room_id": "!r:h.example"}),
}


class ChannelServer:
    """Keeps what it gets; answers what it was told to, and then as usual."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._answers: list[Answer] = []
        self._changed = threading.Condition()
        self.requests: list[Request] = []
        self.address = f"127.0.0.1:{server.server_address[1]}"

    def answer(self, *answers: Answer) -> None:
        """Give these answers next, one each."""
        with self._changed:
            self._answers += answers

    def take(self, number: int, timeout_s: float = PATIENCE_S) -> list[Request]:
        """Wait for so many requests, and forget them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= number, timeout_s), (
                f"{len(self.requests)} of {number} requests came"
            )
            taken, self.requests[:number] = self.requests[:number], []
        return taken

    def receive(self, request: Request) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if self._answers:
                return self._answers.pop(0)
        found = (answer for start, answer in _USUAL.items() if request.path.startswith(start))
        return next(found, Answer())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ChannelServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.owner.receive(Request(self.path, headers, body))
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_PUT = do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # who sent it has gone


@contextmanager
def channel_server() -> Iterator[ChannelServer]:
    handler = type("Handler", (_Handler,), {"timeout": 5})
    with _Server(("127.0.0.1", 0), handler) as server:
        owner = ChannelServer(server)
        handler.owner = owner  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield owner
        finally:
            server.shutdown()
            thread.join()
