"""The datagrams of docs/protocol.md, except notifications: bytes to messages and back. Pure."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime
from typing import NamedTuple

from readers.datagram import MAX_DATAGRAM, encode, timestamp

CLIENT_TTL_S = 300

# The ACK of one notification, as most JSON libraries write it: by far the most frequent message.
# This takes a third of the time.
_USUAL_ACK = re.compile(
    rb'\{"type": ?"ACK", ?"session": ?"([0-9a-f]{32})", ?"ids": ?\[([1-9][0-9]{0,17})\]\}'
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class Subscribe(NamedTuple):
    """SUBSCRIBE.

    Attributes:
        user: the user's id as 16 bytes, None if the text is not a UUID.
        user_text: the id as it was sent; it is part of the proof.
        cookie: None if the field is absent, as in the original protocol.
    """

    user: bytes | None
    user_text: str
    cookie: str | None
    ack: bool
    proof: str


class Ack(NamedTuple):
    """ACK: these notifications have arrived."""

    session: str
    ids: list[int]


class Ping(NamedTuple):
    """PING; `session` and `user` are None if they are absent, as in the original protocol."""

    session: str | None
    user: bytes | None


class Unsubscribe(NamedTuple):
    """UNSUBSCRIBE."""

    session: str | None
    user: bytes | None


ClientMessage = Subscribe | Ack | Ping | Unsubscribe


def parse(datagram: bytes) -> ClientMessage | None:
    """Return the message in a datagram, None if it is malformed or of unknown type."""
    if len(datagram) > MAX_DATAGRAM:
        return None
    usual = _USUAL_ACK.fullmatch(datagram)
    if usual is not None:
        return Ack(usual[1].decode(), [int(usual[2])])
    try:
        body = json.loads(datagram.decode())  # json.loads would accept bytes in UTF-16 too
    except (ValueError, RecursionError):
        return None
    if type(body) is not dict:
        return None
    kind = body.get("type")
    if kind == "ACK":
        return _parse_ack(body)
    if kind == "SUBSCRIBE":
        return _parse_subscribe(body)
    if kind == "PING" or kind == "UNSUBSCRIBE":
        return _parse_ping_or_unsubscribe(kind, body)
    return None


def _parse_ack(body: dict[str, object]) -> Ack | None:
    session, ids = body.get("session"), body.get("ids")
    # bool is a subclass of int: True would count as the id 1.
    if type(session) is str and type(ids) is list and all(type(i) is int for i in ids):
        return Ack(session, ids)
    return None


def _parse_subscribe(body: dict[str, object]) -> Subscribe | None:
    user_text, proof = body.get("user_id"), body.get("proof", "")
    cookie, ack = body.get("cookie"), body.get("ack", False)
    if "cookie" in body and cookie is None:
        return None
    if not (isinstance(user_text, str) and isinstance(proof, str) and isinstance(ack, bool)):
        return None
    if not (isinstance(cookie, str | None) and _is_text(user_text + proof + (cookie or ""))):
        return None
    return Subscribe(user_bytes(user_text), user_text, cookie, ack, proof)


def _parse_ping_or_unsubscribe(kind: str, body: dict[str, object]) -> Ping | Unsubscribe | None:
    session, user_text = body.get("session"), body.get("user_id")
    if not isinstance(session, str | None) or not isinstance(user_text, str | None):
        return None
    user = user_bytes(user_text) if user_text is not None else None
    if user_text is not None and user is None:
        return None
    return Ping(session, user) if kind == "PING" else Unsubscribe(session, user)


def _is_text(value: str) -> bool:
    """Return whether UTF-8 can encode the text: JSON can contain half a surrogate pair."""
    return not any("\ud800" <= c <= "\udfff" for c in value)


def user_bytes(text: str) -> bytes | None:
    """Return the 16 bytes of a UUID in its usual form, in either case; None for other text."""
    return uuid.UUID(text).bytes if _UUID.fullmatch(text) else None


def challenge(cookie: str) -> bytes:
    return encode({"type": "CHALLENGE", "cookie": cookie})


def confirmation(kind: str, now: datetime, session: str | None) -> bytes:
    """Return the answer to SUBSCRIBE or UNSUBSCRIBE; legacy clients have no session."""
    done = "subscribed to" if kind == "SUBSCRIBE" else "unsubscribed from"
    body: dict[str, object] = {
        "type": kind,
        "manga_id": 0,
        "title": "",
        "message": f"Successfully {done} notifications",
        "timestamp": timestamp(now),
    }
    if session is not None:
        body["session"] = session
    return encode({**body, "ttl": CLIENT_TTL_S})


def pong(session: str | None) -> bytes:
    return encode({"type": "PONG"} if session is None else {"type": "PONG", "session": session})


def error(code: str, message: str, session: str | None = None) -> bytes:
    body: dict[str, object] = {"type": "ERROR", "code": code, "message": message}
    return encode(body if session is None else {**body, "session": session})
