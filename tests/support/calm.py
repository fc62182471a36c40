"""Tests that measure rates run alone, whatever the other processes of the suite have to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

# What counts as a second at the source: a busy machine delays a request on its way there.
A_SECOND_S = 0.8


@contextmanager
def turn(folder: Path, is_alone: bool) -> Iterator[None]:
    """Wait for the turn of a test: many share the room, or one has it for itself.

    All tests pass one lock in turn. A calm test holds it, and waits until the others have ended.
    """
    with (folder / "room").open("w") as room:
        with (folder / "door").open("w") as door:
            flock(door, LOCK_EX)
            flock(room, LOCK_EX if is_alone else LOCK_SH)
        yield
