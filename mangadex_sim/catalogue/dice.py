"""Cheap deterministic randomness: one hash per thing, spent roll by roll."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """512 bits derived from (seed, purpose, numbers): the same rolls for ever.

    A roll of n spends about log2(n) bits; some 50 rolls of everyday size are good.
    """

    __slots__ = ("_rest",)

    def __init__(self, seed: int, purpose: str, *numbers: int) -> None:
        name = f"{seed}/{purpose}/{numbers}"
        self._rest = int.from_bytes(blake2b(name.encode()).digest(), "big")

    def roll(self, sides: int) -> int:
        """Return a number from 0 to sides - 1."""
        self._rest, rolled = divmod(self._rest, sides)
        return rolled

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        self._rest, rolled = divmod(self._rest, len(options))
        return options[rolled]
