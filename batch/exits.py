"""How a program may end: its exit codes, and which error leads to which."""

from __future__ import annotations

from batch.errors import ClusterDown, LockHeld, SourceDown, Stopped
from mangahub.env import SettingError
from sql import DatabaseDown

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRY_LATER = 75  # EX_TEMPFAIL of sysexits.h


def exit_code(exc: BaseException | None) -> int:
    """What the contract says for this way to end; None is a good end."""
    if exc is None:
        return EXIT_OK
    if isinstance(exc, SettingError):
        return EXIT_USAGE
    if isinstance(exc, Stopped):
        return 128 + exc.signal_number
    later = (ClusterDown, LockHeld, SourceDown, DatabaseDown)
    return EXIT_TRY_LATER if isinstance(exc, later) else EXIT_FAILED
