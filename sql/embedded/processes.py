"""Which processes serve a data directory, read from /proc: a pid in a file proves nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic

POLL_S = 0.01


def is_alive(pid: int) -> bool:
    """Return whether the process runs; one that ended and was not collected yet does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    # The command's name, in brackets, may contain brackets itself; the state follows the last.
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def serves(pid: int, cluster: Path) -> bool:
    """Return whether the process is a PostgreSQL one that works in `cluster`, as all of its do."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
        folder = os.stat(f"/proc/{pid}/cwd")
        wanted = os.stat(cluster)
    except OSError:
        return False
    same = (folder.st_dev, folder.st_ino) == (wanted.st_dev, wanted.st_ino)
    return name == "postgres" and same and is_alive(pid)


def postmaster(cluster: Path) -> int | None:
    """Return the pid of the server that runs on `cluster`, or None, also for a stale file."""
    try:
        first = (cluster / "postmaster.pid").read_text(encoding="utf-8").partition("\n")[0]
        pid = abs(int(first))
    except (OSError, ValueError):
        return None
    return pid if serves(pid, cluster) else None


def server_processes(cluster: Path) -> list[int]:
    """Return every process that serves `cluster`, also those whose postmaster was killed."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if serves(pid, cluster)]


def wait_until(is_done: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether it was done in time."""
    deadline_s, pause = monotonic() + timeout_s, Event()
    while not is_done():
        if monotonic() > deadline_s:
            return False
        pause.wait(POLL_S)
    return True
