"""Where the tour keeps its database, and the environment in which it runs the programs."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mangahub.config import data_dir
from mangahub.env import Env
from scripts.quickstart import screen
from scripts.quickstart.programs import Signals, TourError

CHECKOUT = Path(__file__).resolve().parents[2]
_OURS = ("DATABASE_URL", "UDP_", "NOTIFY_", "WEB_", "LOG_FORMAT")
_NOT_FOR_THE_STAND_IN = ("MANGA_SYNC_", "MANGADEX_", "LOG_")


def choose_data() -> Path:
    """Return `MANGAHUB_DATA` or its default; one in the checkout if that cannot be made.

    Raises:
        TourError: the place that was asked for cannot be used.
        SettingError: MANGAHUB_DATA is no absolute path.
    """
    wanted = data_dir(Env())
    try:
        return make(wanted)
    except OSError as exc:
        if os.environ.get("MANGAHUB_DATA"):
            raise TourError(f"MANGAHUB_DATA={wanted} cannot be used: {exc.strerror}", 2) from exc
    return make(CHECKOUT / ".data")


def make(folder: Path) -> Path:
    """Make the folder as the embedded server would: root's is passable for its own user."""
    folder.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "it belongs to another user")
    return folder


@contextmanager
def only_one(folder: Path, signals: Signals) -> Iterator[None]:
    """Let one tour at a time use a data directory; the kernel frees a dead one's lock."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _try_lock(handle):
            screen.result("Another tour is under way here; waiting.")
            signals.wait(lambda: _try_lock(handle))
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def environment(data: Path, is_offline: bool) -> dict[str, str]:
    """Return ours without what leads to other databases and servers, or is for the real API."""
    others = _OURS + (_NOT_FOR_THE_STAND_IN if is_offline else ())
    found = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    if sys.stderr.isatty():  # the progress bar is enough
        found.setdefault("LOG_LEVEL", "WARNING")
    return found | {
        "MANGAHUB_DATA": str(data),
        "NOTIFY_BIND": "127.0.0.1",
        "UDP_PORT": "0",
        "UDP_HTTP_PORT": "0",
        "WEB_PORT": "0",
        "WEB_STREAM_PORT": "0",
        "PYTHONUNBUFFERED": "1",
    }
