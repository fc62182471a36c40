"""The host's shared request budgets that tests use: one for each stand-in source."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from batch.limits import host_budget
from mangadex_sim import Simulator


def forget_budget(sim: Simulator) -> None:
    """As if nobody had called this source; another user's file can be emptied, not removed."""
    path = Path("/dev/shm") / host_budget._file_name(sim.url)
    # Not made anew: the kernel refuses O_CREAT on another user's file there.
    with suppress(FileNotFoundError), path.open("r+b") as file:
        file.truncate()
    with suppress(FileNotFoundError, PermissionError):
        path.unlink()
