"""Tokens that browsers hold: 256 random bits, of which only a hash is stored."""

from __future__ import annotations

import hashlib
import secrets

_BYTES = 32


def new_token() -> str:
    """Return a token, 43 characters that may stand in an address and a cookie."""
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> bytes:
    """Return what is stored of a token, or looked up; any text will do."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
