"""Ctrl-C before a program listens to signals, and where one never does."""

from __future__ import annotations

import signal


def die_of_interrupts() -> None:
    """Let Ctrl-C end the process as it ends any other: at once, and without a traceback.

    A shell then sees 130. If SIGINT is ignored, as in a script's background jobs, it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
