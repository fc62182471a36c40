"""UUIDs that look random, yet are computed from (kind, index, sub) and back without a table.

A key packs what an id stands for into 52 bits. A seeded permutation of 122 bits (multiplications
by odd numbers between xor-shifts, each of them invertible) spreads it over the free bits of a
version 4 UUID. The other 70 bits of the key are zero: an id that does not decode to that is
unknown, which distinguishes invented ids from real ones.
"""

from __future__ import annotations

import re
from hashlib import blake2b

TITLE, CHAPTER, ORDERED_CHAPTER, AUTHOR, GROUP, USER, COVER, TAG, ERROR, NAMED = range(1, 11)

UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_BITS = 122
_MASK = (1 << _BITS) - 1
_HALF = _BITS // 2
_LOW_MASK = (1 << 62) - 1
_INDEX_BITS, _SUB_BITS = 28, 20


def make_key(kind: int, index: int, sub: int = 0) -> int:
    """Pack what an id stands for; index below 2**28, sub below 2**20."""
    return (kind << (_INDEX_BITS + _SUB_BITS)) | (index << _SUB_BITS) | sub


def split_key(key: int) -> tuple[int, int, int]:
    """Return (kind, index, sub) of a key."""
    sub = key & ((1 << _SUB_BITS) - 1)
    index = (key >> _SUB_BITS) & ((1 << _INDEX_BITS) - 1)
    return key >> (_INDEX_BITS + _SUB_BITS), index, sub


class Ids:
    """Turns keys into UUID text and back, differently for each seed."""

    def __init__(self, seed: int) -> None:
        secret = blake2b(f"ids/{seed}".encode()).digest()
        self._first = int.from_bytes(secret[:16], "big") & _MASK | 1
        self._second = int.from_bytes(secret[16:32], "big") & _MASK | 1
        self._first_inverse = pow(self._first, -1, 1 << _BITS)
        self._second_inverse = pow(self._second, -1, 1 << _BITS)

    def to_text(self, key: int) -> str:
        """Return the UUID of a key."""
        mixed = key * self._first & _MASK
        mixed ^= mixed >> _HALF
        mixed = mixed * self._second & _MASK
        mixed ^= mixed >> _HALF
        high = (mixed >> 62) & 0xFFF
        number = (mixed >> 74) << 80 | 4 << 76 | high << 64 | 2 << 62 | mixed & _LOW_MASK
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def to_key(self, text: str) -> int | None:
        """Return the key behind a UUID, or None if this seed never made it."""
        if not UUID_PATTERN.fullmatch(text):
            return None
        number = int(text.replace("-", ""), 16)
        if (number >> 76) & 0xF != 4 or (number >> 62) & 3 != 2:
            return None
        mixed = (number >> 80) << 74 | ((number >> 64) & 0xFFF) << 62 | number & _LOW_MASK
        mixed ^= mixed >> _HALF
        mixed = mixed * self._second_inverse & _MASK
        mixed ^= mixed >> _HALF
        key = mixed * self._first_inverse & _MASK
        return key if key < 1 << 52 else None

    def title(self, index: int) -> str:
        """Return the id of the title at an index."""
        return self.to_text(make_key(TITLE, index))

    def named(self, kind: int, name: str) -> str:
        """Return a stable id for something known by name only (an ordered author or group)."""
        digest = blake2b(f"{kind}/{name}".encode(), digest_size=6).digest()
        number = int.from_bytes(digest, "big")
        sub_mask = (1 << _SUB_BITS) - 1
        return self.to_text(make_key(NAMED, number >> _SUB_BITS, number & sub_mask))
