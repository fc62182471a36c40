"""One budget of API calls for all processes of this host that ask the same source.

The state is a small file in shared memory (tmpfs), guarded by `flock`, which the kernel gives back
when its holder is killed. Times are CLOCK_MONOTONIC, which counts for the whole host and, like the
file, starts anew at boot; so a wall clock that jumps changes nothing.

A slot is held until the request's bytes have left and the next slot is counted from that moment.
A process that wakes up late therefore delays its successors, and never lets two calls move closer.
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
from pathlib import Path
from urllib.parse import urlsplit

from batch.errors import BatchError, SourceDown
from batch.stop import Stop

# Five calls spread over exactly one second leave no room for jitter on their way to the server,
# and a sixth would then fall into that second now and then.
SPACING = 1.022
MAX_PATIENCE_S = 120.0  # a longer pause ends the run: a timer's next one comes soon enough
MAX_PAUSE_S = 3_600.0  # whatever a source or a damaged file says
_STATE = struct.Struct("<dd")
_LOCK_POLL_S = 0.002


class HostBudget:
    """A token bucket for one source, kept as the generic cell rate algorithm (GCRA) does.

    Args:
        api_url: the source; another address has another budget.
        per_second: calls a second.
        burst: the bucket's capacity; 1 paces evenly.
        directory: where the shared file lies; by default shared memory.
    """

    def __init__(
        self, api_url: str, per_second: float, burst: int = 1, directory: Path | None = None
    ) -> None:
        self._interval_s = SPACING / per_second
        self._allowance_s = (burst - 1) / per_second
        self._path = (directory or _shared_directory()) / _file_name(api_url)
        self._descriptor = _open_shared(self._path)

    def close(self) -> None:
        os.close(self._descriptor)

    @contextmanager
    def slot(self, stop: Stop) -> Iterator[None]:
        """Waits for the next free slot; the call's bytes must leave inside the block.

        Raises:
            SourceDown: the source asked for a pause that is longer than a run should wait.
            Stopped: the run has been asked to stop.
        """
        self._lock(stop)
        try:
            due_s = self._wait(stop)
            try:
                yield
            finally:
                # Counted from the moment after sending; see the module's first lines.
                self._write(max(due_s, time.monotonic()) + self._interval_s, 0.0)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def pause(self, seconds: float, stop: Stop) -> None:
        """Lets nobody on this host call the source for so long; a longer pause stays."""
        until_s = time.monotonic() + min(max(seconds, 0.0), MAX_PAUSE_S)
        self._lock(stop)
        try:
            due_s, paused_s = self._read()
            self._write(due_s, max(paused_s, until_s))
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def sit_out_pause(self, stop: Stop) -> None:
        """Waits while everybody has to; to be called before connecting, as connections go stale.

        Raises:
            SourceDown, Stopped: as `slot`.
        """
        while (left_s := self._read()[1] - time.monotonic()) > 0:
            _wait_a_little(left_s, stop)

    def _wait(self, stop: Stop) -> float:
        """Sleeps, lock in hand, until the slot is due; gives the lock up during a pause."""
        while True:
            due_s, paused_s = self._read()
            now_s = time.monotonic()
            if paused_s > now_s:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                _wait_a_little(paused_s - now_s, stop)
                self._lock(stop)
            elif due_s - self._allowance_s <= now_s:
                return due_s
            else:
                stop.wait(due_s - self._allowance_s - now_s)

    def _lock(self, stop: Stop) -> None:
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                stop.wait(_LOCK_POLL_S)

    def _read(self) -> tuple[float, float]:
        """(when the next slot is due, until when all pause); a damaged file counts as empty."""
        raw = os.pread(self._descriptor, _STATE.size, 0)
        if len(raw) < _STATE.size:
            return 0.0, 0.0
        due_s, paused_s = _STATE.unpack(raw)
        now_s = time.monotonic()
        plausible_due = due_s <= now_s + self._allowance_s + MAX_PATIENCE_S
        plausible_pause = paused_s <= now_s + MAX_PAUSE_S
        return due_s if plausible_due else 0.0, paused_s if plausible_pause else 0.0

    def _write(self, due_s: float, paused_s: float) -> None:
        os.pwrite(self._descriptor, _STATE.pack(due_s, paused_s), 0)


def _wait_a_little(left_s: float, stop: Stop) -> None:
    if left_s > MAX_PATIENCE_S:
        raise SourceDown(f"the source asked for a pause, {left_s:.0f} s of it are left")
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
