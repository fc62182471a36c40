"""Private addresses: whoever has one sees a reader's news without signing in. Pure.

An address is base32 of the reader's id and an HMAC over kind, id and a counter. It is derived, so
the database has none; another counter makes another address, and the old one worthless.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Literal
from uuid import UUID

Kind = Literal["news", "calendar", "events"]
KINDS: tuple[Kind, ...] = ("news", "calendar", "events")
_ID_BYTES, _MAC_BYTES = 16, 20


def make_private(secret: str, kind: Kind, user_id: UUID, generation: int) -> str:
    """Return the secret part of a reader's address."""
    mac = _mac(secret, kind, user_id, generation)
    return base64.b32encode(user_id.bytes + mac).decode().rstrip("=").lower()


def whose(text: str) -> UUID | None:
    """Return the reader whose address it claims to be, None if it is none at all."""
    padded = text.upper() + "=" * (-len(text) % 8)
    try:
        content = base64.b32decode(padded)
    except (binascii.Error, ValueError):
        return None
    return UUID(bytes=content[:_ID_BYTES]) if len(content) == _ID_BYTES + _MAC_BYTES else None


def is_genuine(text: str, secret: str, kind: Kind, user_id: UUID, generation: int) -> bool:
    """Return whether it is the reader's address, in a time that tells nothing of it."""
    expected = make_private(secret, kind, user_id, generation)
    return hmac.compare_digest(text.encode(errors="replace"), expected.encode())


def _mac(secret: str, kind: Kind, user_id: UUID, generation: int) -> bytes:
    text = f"private|{kind}|{user_id}|{generation}"
    return hmac.digest(secret.encode(), text.encode(), hashlib.sha256)[:_MAC_BYTES]
