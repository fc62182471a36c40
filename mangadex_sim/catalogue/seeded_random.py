"""Cheap deterministic randomness: one hash for each thing, spent value by value."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class SeededRandom:
    """512 bits derived from (seed, purpose, numbers): the same values every time.

    A value below n spends about log2(n) bits, so that some 50 values of usual size are random.
    """

    __slots__ = ("_rest",)

    def __init__(self, seed: int, purpose: str, *numbers: int) -> None:
        name = f"{seed}/{purpose}/{numbers}"
        self._rest = int.from_bytes(blake2b(name.encode()).digest(), "big")

    def below(self, end: int) -> int:
        """Return a number from 0 to end - 1."""
        self._rest, value = divmod(self._rest, end)
        return value

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]
