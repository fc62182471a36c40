"""sd_notify(3) without a dependency."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Tell systemd, for example `READY=1`; do nothing where systemd did not ask."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), address)
    except OSError:
        return


def watchdog_interval_s() -> float | None:
    """Return half of what the unit's WatchdogSec allows between two keep-alives."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if not usec.isdigit() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 2_000_000
