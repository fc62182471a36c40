"""What a test may leave behind in this process: threads, child processes and open sockets."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

# Helpers of multiprocessing that live as long as the process, by its own design.
_LASTING = ("resource_tracker", "forkserver")


@dataclass(frozen=True)
class Held:
    """What this process holds at a moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    sockets: frozenset[str]

    @classmethod
    def now(cls) -> Held:
        return cls(frozenset(threading.enumerate()), _children(), _sockets())

    def describe_more_than(self, before: Held) -> list[str]:
        """Return one text for each kind of thing that was not held before."""
        more = {
            "threads": [thread.name for thread in self.threads - before.threads],
            "child processes": [
                f"{pid} {_command(pid)}" for pid in self.children - before.children
            ],
            "sockets": sorted(self.sockets - before.sockets),
        }
        return [f"{kind}: {', '.join(found)}" for kind, found in more.items() if found]


def _children() -> frozenset[int]:
    """Return our child processes, also those that ended and were not collected."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.update(int(pid) for pid in (task / "children").read_text().split())
        except OSError:
            continue
    return frozenset(pid for pid in found if not any(word in _command(pid) for word in _LASTING))


def _command(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        line = ""
    return f"{pid} {line}"


def _sockets() -> frozenset[str]:
    found: set[str] = set()
    for handle in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{handle}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return frozenset(found)
