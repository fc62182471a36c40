"""Proofs and cookies: pure functions of the server's secret.

A cookie is a time and an HMAC over it and the address it was sent to, so the server stores nothing
for addresses that have not shown that they are real.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

COOKIE_TTL_S = 30
# The clocks of servers that share a secret may differ by this much.
_CLOCK_SKEW_S = 5
_COOKIE_LENGTH = 27  # base64 of 4 bytes of time and 16 of HMAC
_MAC_BYTES = 16

Address = tuple[str, int] | tuple[str, int, int, int]


def subscribe_proof(key: str, user_text: str, ack: bool, cookie: str) -> str:
    """Return the proof that a client holds the key; `user_text` is as in its datagram."""
    return _hmac(key.encode(), f"subscribe|{user_text}|{int(ack)}|{cookie}").hex()


def proof_is_valid(proof: str, key: str, user_text: str, ack: bool, cookie: str) -> bool:
    """Return whether this is the proof; compare in constant time."""
    wanted = subscribe_proof(key, user_text, ack, cookie)
    return hmac.compare_digest(proof.lower().encode(), wanted.encode())


class Cookies:
    """Make and check cookies."""

    def __init__(self, secret: str) -> None:
        self._key = _hmac(secret.encode(), "cookies")

    def make(self, address: Address, now: float) -> str:
        """Return a cookie for this address; `now` is in seconds since the epoch."""
        stamp = int(now).to_bytes(8, "big")[-4:]
        mac = self._mac(stamp, address)
        return base64.urlsafe_b64encode(stamp + mac).decode().rstrip("=")

    def is_valid(self, cookie: str, address: Address, now: float) -> bool:
        """Return whether the cookie was made for this address within the last 30 s."""
        if len(cookie) != _COOKIE_LENGTH or not cookie.isascii():
            return False
        try:
            raw = base64.b64decode(cookie + "=", altchars=b"-_", validate=True)
        except ValueError:
            return False
        stamp, mac = raw[:4], raw[4:]
        age = (int(now) - int.from_bytes(stamp, "big")) % 2**32
        fresh = age <= COOKIE_TTL_S or age >= 2**32 - _CLOCK_SKEW_S
        return hmac.compare_digest(mac, self._mac(stamp, address)) and fresh

    def _mac(self, stamp: bytes, address: Address) -> bytes:
        return _hmac(self._key, f"{stamp.hex()}|{address[0]}|{address[1]}")[:_MAC_BYTES]


def token_is_valid(authorization: str, api_key: str) -> bool:
    """Return whether the header's value is `Bearer` and the key; compare in constant time."""
    scheme, _, token = authorization.partition(" ")
    matches = hmac.compare_digest(token.strip().encode(), api_key.encode())
    return scheme.lower() == "bearer" and matches


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)
