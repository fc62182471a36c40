"""Where the tour keeps its database, and the environment in which it runs the programs."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mangahub.config import data_dir
from mangahub.env import Env
from scripts.quickstart.programs import TourError

CHECKOUT = Path(__file__).resolve().parents[2]
_OURS = ("DATABASE_URL", "UDP_", "NOTIFY_", "LOG_FORMAT")
_NOT_FOR_THE_STAND_IN = (*_OURS, "MANGA_SYNC_", "MANGADEX_", "LOG_")
_POLL_S = 0.1


def choose_data(environ: Mapping[str, str]) -> Path:
    """`MANGAHUB_DATA` or its default; in the checkout where that default cannot be made.

    Raises:
        TourError: the place that was asked for cannot be used.
        SettingError: MANGAHUB_DATA is no absolute path.
    """
    wanted = data_dir(Env(environ))
    try:
        make(wanted)
    except OSError as exc:
        if environ.get("MANGAHUB_DATA"):
            raise TourError(f"MANGAHUB_DATA={wanted} cannot be used: {exc.strerror}", 2) from exc
        wanted = CHECKOUT / ".data"
        make(wanted)
    return wanted


def make(folder: Path) -> None:
    """As the embedded server would: passable for its unprivileged user if we are root."""
    folder.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "it belongs to another user")


@contextmanager
def only_one(
    folder: Path, on_wait: Callable[[], None], check: Callable[[], None]
) -> Iterator[None]:
    """One tour at a time for each data directory; the kernel frees a dead one's lock."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _try_lock(handle):
            on_wait()
            while not _try_lock(handle):
                check()
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def environment(environ: Mapping[str, str], data: Path, is_terminal: bool) -> dict[str, str]:
    """The caller's, without what could lead the tour to other databases and servers."""
    found = _without(environ, _OURS) | {
        "MANGAHUB_DATA": str(data),
        "NOTIFY_BIND": "127.0.0.1",
        "UDP_PORT": "0",
        "UDP_HTTP_PORT": "0",
        "PYTHONUNBUFFERED": "1",
    }
    if is_terminal:  # the bar is enough
        found.setdefault("LOG_LEVEL", "WARNING")
    return found


def stand_in_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's, without the settings that are meant for the real API."""
    return _without(environ, _NOT_FOR_THE_STAND_IN)


def _without(environ: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(prefixes)}
