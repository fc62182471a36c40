"""Tickets: what a page gives its script to open a stream with. Pure.

The streams are on a port of their own, where no cookie may go. A ticket says for 10 minutes who
opens one; its HMAC is all that is kept of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from typing import NamedTuple
from uuid import UUID

LIFETIME_S = 600
_BODY = struct.Struct(">IB16s")  # until when, in seconds since the epoch; who; the reader
_VISITOR, _READER, _OPERATOR = range(3)
_MAC_BYTES = 16
_LENGTH = 50  # in base64, without padding


class Ticket(NamedTuple):
    """Who opens a stream.

    Attributes:
        reader: the reader's id; None for a visitor.
    """

    reader: UUID | None
    is_operator: bool = False


def make_ticket(secret: str, ticket: Ticket, now_s: float) -> str:
    """Return the ticket as it stands in an address; `now_s` is in seconds since the epoch."""
    who = _VISITOR if ticket.reader is None else _OPERATOR if ticket.is_operator else _READER
    reader = ticket.reader.bytes if ticket.reader else bytes(16)
    body = _BODY.pack(int(now_s) + LIFETIME_S, who, reader)
    return base64.urlsafe_b64encode(body + _mac(secret, body)).decode().rstrip("=")


def read_ticket(secret: str, text: str, now_s: float) -> Ticket | None:
    """Return who holds a ticket; None if it is none of ours, or too old."""
    if len(text) != _LENGTH or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except ValueError:
        return None
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    if not hmac.compare_digest(mac, _mac(secret, body)):
        return None
    until_s, who, reader = _BODY.unpack(body)
    if now_s > until_s:
        return None
    return Ticket(None if who == _VISITOR else UUID(bytes=reader), who == _OPERATOR)


def _mac(secret: str, body: bytes) -> bytes:
    key = hmac.digest(secret.encode(), b"tickets", hashlib.sha256)
    return hmac.digest(key, body, hashlib.sha256)[:_MAC_BYTES]
