"""Sending alerts: a process for each address."""

from __future__ import annotations

import logging
import os
import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from batch.process import start_child
from batch.stop import SignalStop
from mangahub.processes import die_with_parent

PATIENCE_S = 10.0
INSTALL = "pip install '.[alerts]'"  # in the checkout: no index has it

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to the operator."""

    title: str
    body: str
    is_good: bool


def is_installed() -> bool:
    return find_spec("apprise") is not None


def send(urls: tuple[str, ...], message: Message, stop: SignalStop) -> bool:
    """Return whether the message has reached an address; PATIENCE_S at most, less on a signal.

    Apprise's services wait, retry and start threads as each likes: a process for each address can
    be killed. No address is ever logged, as they hold passwords.
    """
    if not is_installed():
        log.warning("Alerts cannot be sent: MANGAHUB_ALERT_URLS needs `%s`", INSTALL)
        return False
    senders = [start_child(_use, url, message, os.getpid(), name="alert") for url in urls]
    _await(senders, stop)
    sent = sum([_has_succeeded(sender) for sender in senders])
    if sent < len(urls):
        log.warning("An alert did not reach every address addresses=%d reached=%d", len(urls), sent)
    return sent > 0


def _has_succeeded(child: BaseProcess) -> bool:
    child.kill()
    child.join()
    return child.exitcode == 0


def _await(senders: Sequence[BaseProcess], stop: SignalStop) -> None:
    """Wait until all have ended, a signal comes, or the time is over."""
    deadline_s = time.monotonic() + PATIENCE_S
    # Asked once a turn: whoever ends after it is known by its sentinel.
    while alive := [sender.sentinel for sender in senders if sender.is_alive()]:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or stop.signal_number is not None:
            return
        wait([stop.fileno(), *alive], left_s)


def _use(url: str, message: Message, parent: int) -> None:
    """Send the message in a child process; exit with 0 if the address has accepted it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(parent)
    _silence()
    import apprise  # an extra

    notifier = apprise.Apprise(url)
    kind = apprise.NotifyType.SUCCESS if message.is_good else apprise.NotifyType.FAILURE
    text = apprise.NotifyFormat.TEXT
    is_done = bool(notifier.notify(message.body, message.title, kind, body_format=text))
    os._exit(0 if is_done else 1)  # at once: threads that the library may have left do not matter


def _silence() -> None:
    """Let neither the log nor a traceback show the address."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
