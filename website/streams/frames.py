"""What is written to a stream: server-sent events, and the answers before them. Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from http import HTTPStatus

from sql.snapshot import Snapshot, parse_snapshot

RETRY_MS = 3_000
END = b"\n\n"
COMMENT = b":\n\n"
LAST_COMMENT = b": the server is stopping\n\n"
TOO_OLD = b": this stream ends, open another one\n\n"
# A position that no database has.
NOWHERE = Snapshot(2**63, 2**63, frozenset())
_SNAPSHOT = re.compile(r"\d{1,19}:\d{1,19}:(\d{1,19}(,\d{1,19})*)?", re.ASCII)
_SAFE = (
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nConnection: close\r\n"
)


def event(kind: str, data: bytes, position: Snapshot | None = None) -> bytes:
    """Return one event; the position is where its reader continues after it."""
    return begin(kind, position) + data + END


def begin(kind: str, position: Snapshot | None) -> bytes:
    """Return what stands before an event's data: the same for all who get it."""
    id = f"id: {position}\n" if position else ""
    return f"{id}event: {kind}\ndata: ".encode()


def mark(position: Snapshot) -> bytes:
    """Return what moves the reader's position, without an event."""
    return f"id: {position}\n\n".encode()


def opening(origin: str | None) -> bytes:
    """Return what comes before the first event; pages of this origin may read it."""
    allowed = f"Access-Control-Allow-Origin: {origin}\r\n" if origin else ""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        f"X-Accel-Buffering: no\r\nVary: Origin\r\n{allowed}{_SAFE}\r\nretry: {RETRY_MS}\n\n"
    )
    return head.encode()


def answer(status: HTTPStatus, text: str, content_type: str = "text/plain; charset=utf-8") -> bytes:
    """Return a whole answer."""
    more = {
        HTTPStatus.METHOD_NOT_ALLOWED: "Allow: GET\r\n",
        HTTPStatus.TOO_MANY_REQUESTS: "Retry-After: 30\r\n",
        HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After: 5\r\n",
    }.get(status, "")
    body = text.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n{more}{_SAFE}\r\n"
    )
    return head.encode() + body


def read_position(text: str) -> Snapshot:
    """Return the snapshot of a Last-Event-ID; NOWHERE if it is none."""
    if not _SNAPSHOT.fullmatch(text):
        return NOWHERE
    snapshot = parse_snapshot(text)
    is_ordered = 0 < snapshot.xmin <= snapshot.xmax < 2**63
    is_within = all(snapshot.xmin <= xid < snapshot.xmax for xid in snapshot.running)
    return snapshot if is_ordered and is_within else NOWHERE
