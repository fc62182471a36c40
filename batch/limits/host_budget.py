"""One budget of API calls for all processes of this host that ask the same source.

The state is a small file in shared memory (tmpfs), guarded by `flock`, which the kernel gives back
when its holder is killed. Times are CLOCK_MONOTONIC, which counts for the whole host and, like the
file, starts anew at boot; so a wall clock that jumps changes nothing.

A slot is held until the request's bytes have left and the next slot is counted from that moment.
A process that wakes up late therefore delays its successors, and never lets two calls move closer.

What is kept is when the last calls left. Two rules follow from it, for 5 a second: a call leaves
0.17 s after the last at the earliest, and 1.015 s after the fifth last. The first alone is the even
pace; the second is the promise, and leaves room for jitter on the way: what leaves 1.015 s apart
arrives more than a second apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from batch.errors import BatchError, PauseRequested
from batch.stop import Stop

SPACING = 1.015  # see above; shorter and a sixth call would arrive in the same second now and then
EVENNESS = 0.85  # of the even distance, the least between two calls
_WINDOW = 16  # calls that are remembered
MAX_PATIENCE_S = 120.0  # a longer pause ends the run: a timer's next one comes soon enough
MAX_PAUSE_S = 3_600.0  # whatever a source or a damaged file says
_STATE = struct.Struct(f"<{_WINDOW + 2}d")
_LOCK_POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class Spent:
    """What the file holds; monotonic seconds.

    Attributes:
        bucket_full_s: when the token bucket will be full again; counts for bursts only.
        paused_until_s: until when nobody calls.
        departures_s: when the last calls left, oldest first; 0 where there was none.
    """

    bucket_full_s: float = 0.0
    paused_until_s: float = 0.0
    departures_s: tuple[float, ...] = (0.0,) * _WINDOW


class Pace:
    """When a call may leave, from when the last ones did.

    Args:
        per_second: calls a second.
        burst: the bucket's capacity; 1 paces evenly.
        spacing: room for jitter; see the module's first lines.
    """

    def __init__(self, per_second: float, burst: int, spacing: float = SPACING) -> None:
        self._interval_s = 1 / per_second
        self._spacing = spacing
        self._burst = burst
        self._window = min(max(int(per_second), 1), _WINDOW)

    def due(self, spent: Spent) -> float:
        if self._burst > 1:
            return spent.bucket_full_s - (self._burst - 1) * self._interval_s
        least_s = spent.departures_s[-1] + EVENNESS * self._interval_s
        window_s = self._spacing * self._window * self._interval_s
        promise_s = spent.departures_s[-self._window] + window_s
        return max(least_s, promise_s)

    def after_a_call(self, spent: Spent, now_s: float) -> Spent:
        return Spent(
            bucket_full_s=max(spent.bucket_full_s, now_s) + self._interval_s,
            departures_s=(*spent.departures_s[1:], now_s),
        )


class HostBudget:
    """The calls to one source, paced evenly, or by a token bucket where bursts are allowed.

    Args:
        api_url: the source; another address has another budget.
        per_second: calls a second.
        burst: the bucket's capacity; 1 paces evenly.
        directory: where the shared file lies; by default shared memory.
    """

    def __init__(
        self, api_url: str, per_second: float, burst: int = 1, directory: Path | None = None
    ) -> None:
        self._pace = Pace(per_second, burst)
        self._path = (directory or _shared_directory()) / _file_name(api_url)
        self._descriptor = _open_shared(self._path)

    def close(self) -> None:
        os.close(self._descriptor)

    @contextmanager
    def slot(self, stop: Stop) -> Iterator[None]:
        """Waits for the next free slot; the call's bytes must leave inside the block.

        Raises:
            PauseRequested: the source asked for a pause that is longer than a run should wait.
            Stopped: the run has been asked to stop.
        """
        self._lock(stop)
        try:
            spent = self._wait(stop)
            # Also who is killed while sending has called; the moment is corrected afterwards.
            self._write(self._pace.after_a_call(spent, time.monotonic()))
            try:
                yield
            finally:
                self._write(self._pace.after_a_call(spent, time.monotonic()))
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def pause(self, seconds: float, stop: Stop) -> None:
        """Lets nobody on this host call the source for so long; a longer pause stays."""
        until_s = time.monotonic() + min(max(seconds, 0.0), MAX_PAUSE_S)
        self._lock(stop)
        try:
            spent = self._read()
            self._write(replace(spent, paused_until_s=max(spent.paused_until_s, until_s)))
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def sit_out_pause(self, stop: Stop) -> None:
        """Waits while everybody has to; to be called before connecting, as connections go stale.

        Raises:
            PauseRequested, Stopped: as `slot`.
        """
        while (left_s := self._read().paused_until_s - time.monotonic()) > 0:
            wait_a_little(left_s, stop)

    def _wait(self, stop: Stop) -> Spent:
        """Sleeps, lock in hand, until the slot is due; gives the lock up during a pause.

        Returns:
            what had been spent until then.
        """
        while True:
            spent = self._read()
            now_s = time.monotonic()
            if spent.paused_until_s > now_s:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                wait_a_little(spent.paused_until_s - now_s, stop)
                self._lock(stop)
            elif (due_s := self._pace.due(spent)) > now_s:
                stop.wait(due_s - now_s)
            else:
                return spent

    def _lock(self, stop: Stop) -> None:
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                stop.wait(_LOCK_POLL_S)

    def _read(self) -> Spent:
        """A file that is damaged, or tells of times that cannot be, counts as empty."""
        raw = os.pread(self._descriptor, _STATE.size, 0)
        if len(raw) < _STATE.size:
            return Spent()
        bucket_full_s, paused_until_s, *departures_s = _STATE.unpack(raw)
        now_s = time.monotonic()
        is_plausible = (
            0 <= bucket_full_s <= now_s + MAX_PAUSE_S
            and 0 <= paused_until_s <= now_s + MAX_PAUSE_S
            and all(0 <= moment_s <= now_s for moment_s in departures_s)
        )
        if not is_plausible:
            return Spent()
        return Spent(bucket_full_s, paused_until_s, tuple(departures_s))

    def _write(self, spent: Spent) -> None:
        values = (spent.bucket_full_s, spent.paused_until_s, *spent.departures_s)
        os.pwrite(self._descriptor, _STATE.pack(*values), 0)


def wait_a_little(left_s: float, stop: Stop) -> None:
    """Sits out a second of a pause at most.

    Raises:
        PauseRequested: more is left of it than a run should wait.
        Stopped: the run has been asked to stop.
    """
    if left_s > MAX_PATIENCE_S:
        raise PauseRequested(f"the source asked for a pause, {left_s:.0f} s of it are left")
    stop.wait(min(left_s, 1.0))


def _shared_directory() -> Path:
    """Shared memory, which systemd's PrivateTmp leaves common to all; else the usual place."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


def _file_name(api_url: str) -> str:
    parts = urlsplit(api_url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    source = f"{parts.hostname}:{port}{parts.path.rstrip('/')}"
    return f"mangahub-budget-{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def _open_shared(path: Path) -> int:
    """Opens the file for whoever comes, or makes it so that every user of the host can.

    The two steps are apart because the kernel refuses O_CREAT on another user's file in a
    world-writable directory (fs.protected_regular, proc_sys_fs(5)).
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        for _attempt in range(3):
            try:
                return _regular(os.open(path, flags))
            except FileNotFoundError:
                _create(path, flags)
    except OSError as exc:
        raise BatchError(f"the shared request budget {path} cannot be used: {exc}") from exc
    raise BatchError(f"the shared request budget {path} vanishes as soon as it is made")


def _create(path: Path, flags: int) -> None:
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    os.fchmod(descriptor, 0o666)  # the umask does not count here: all users share one budget
    os.close(descriptor)


def _regular(descriptor: int) -> int:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    return descriptor
