"""Decides which ordered failure applies to the next request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random

from mangadex_sim.catalogue.models import Json
from mangadex_sim.orders.order_fields import as_list, read_number, read_whole
from mangadex_sim.server.payloads import PAYLOAD_MODES
from mangadex_sim.server.replies import CANNED, MANNERS

SLOW = "slow"
MODES: tuple[str, ...] = (*CANNED, *MANNERS, *PAYLOAD_MODES, SLOW)

_MOST = 1_000_000_000
_HANG_S = 3_600.0
_HUGE_BYTES = 1 << 30


@dataclass
class Fault:
    """One order to fail: how, how often, where, and how likely."""

    mode: str
    left: int | None = None  # None: until healed
    skip: int = 0  # matching requests to let pass first
    paths: tuple[str, ...] = ()  # patterns with *; empty: everywhere
    probability: float = 1.0
    ends_s: float | None = None  # monotonic
    wait_s: float = 1.0  # what a 429 tells
    seconds: float = _HANG_S  # of hang, drip and slow
    size: int = _HUGE_BYTES  # of huge
    position: int = 0  # of the spoiled item
    random: Random = field(default_factory=lambda: Random(0))

    def matches(self, path: str) -> bool:
        """Return whether the fault applies to the path."""
        return not self.paths or any(fnmatchcase(path, pattern) for pattern in self.paths)


def read_fault(order: Json) -> Fault:
    """Return the fault of a JSON order; ValueError or TypeError for a bad one.

    Without count, active_s and probability it fails once; `"count": null` means until healed.
    """
    mode = str(order.get("mode"))
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    paths = [str(each) for each in as_list(order.get("paths"))]
    has_end = "active_s" in order or "probability" in order
    default_s = {"hang": _HANG_S, "drip": 2.0}.get(mode, 1.0)
    return Fault(
        mode=mode,
        left=_read_count(order, None if has_end else 1),
        skip=read_whole(order, "skip", 0, 0, _MOST),
        paths=tuple(paths),
        probability=read_number(order, "probability", 1.0, 0.0, 1.0),
        ends_s=time.monotonic() + read_number(order, "active_s", None, 0, _MOST)
        if "active_s" in order
        else None,
        wait_s=read_number(order, "wait_s", 1.0, -_MOST, _MOST),
        seconds=read_number(order, "seconds", default_s, 0, _MOST),
        size=read_whole(order, "bytes", _HUGE_BYTES, 0, 1 << 40),
        position=read_whole(order, "position", 0, 0, 1_000),
        random=Random(read_whole(order, "seed", 0, 0, _MOST)),
    )


def _read_count(order: Json, default: int | None) -> int | None:
    if order.get("count", default) is None:
        return None
    return read_whole(order, "count", default, 0, _MOST)


class FaultPlan:
    """The orders in force, oldest first. Not thread-safe: its user holds one lock."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put an order into force."""
        self._faults.append(fault)

    def heal(self) -> None:
        """Drop all orders."""
        self._faults.clear()

    def waiting(self) -> Sequence[Fault]:
        """Return the orders in force."""
        now = time.monotonic()
        self._faults = [
            each
            for each in self._faults
            if each.left != 0 and (each.ends_s is None or now < each.ends_s)
        ]
        return self._faults

    def choose(self, path: str) -> Fault | None:
        """Return the fault for a request to this path; `spend` it if it takes effect."""
        for fault in self.waiting():
            if not fault.matches(path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.probability >= 1.0 or fault.random.random() < fault.probability:
                return fault
        return None

    def spend(self, fault: Fault) -> None:
        """Count one use."""
        if fault.left is not None:
            fault.left -= 1
