"""The process that serves streams."""

from __future__ import annotations

import signal
import socket

from website.config import Surroundings


def run(sock: socket.socket, given: Surroundings) -> None:
    """Serve until TERM."""
    signal.pause()
