"""Alert an operator once when a workflow keeps failing, and once when it works again.

    how the run ended + what is remembered → decide (pure) → send → remember

What is remembered is in `sync_state.metadata`, or in `alerts.json` in the data directory while the
database is down, which may be the reason of the failure. Sending comes first: a message that could
not be sent, or whose program was killed in between, is sent again rather than never.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg

from batch.config import Config
from batch.cursors import read_cursor
from batch.models import JsonObject, command_name
from batch.process import die_with_parent, start_child
from batch.stop import SignalStop
from batch.store import sync_state
from sql import Connection

PATIENCE_S = 10.0
INSTALL = "pip install '.[alerts]'"  # in the checkout: no index has it
_KEY = "trouble"
_DAY = timedelta(days=1)
# How far apart a workflow's good runs are by the timers; the others come every few minutes.
CADENCE = {"new_manga_poll": _DAY, "chapter_check": _DAY, "metadata_refresh": _DAY}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is remembered of a workflow that fails.

    Attributes:
        since: when it first failed after the last good run; None if it works.
        told_at: when the operator was alerted.
    """

    since: datetime | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended; `error` is one line, None after a success."""

    sync_type: str
    ended_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to the operator."""

    title: str
    body: str
    is_good: bool


def follow_up(end: RunEnd, config: Config, stop: SignalStop, connection: Connection | None) -> None:
    """Send what is due after a run, and remember that it was sent.

    Raises:
        OSError: nothing can be remembered, so nothing is sent: it would be sent after every run.
    """
    memory = Memory(connection, config.data_dir, end.sync_type)
    before, last_success = memory.read()
    after, message = decide(end, before, last_success, config.alert_after)
    if message is None:
        if after != before:
            memory.write(after)
        return
    not_sent = before if message.is_good else replace(after, told_at=None)
    memory.write(not_sent)
    if send(config.alert_urls, message, stop):
        log.info("Alert sent title=%r", message.title)
        memory.write(after)


def decide(
    end: RunEnd, before: Failure, last_success: datetime | None, patience: timedelta
) -> tuple[Failure, Message | None]:
    """Return what to remember once the message, if there is one, has been sent.

    Args:
        last_success: before this run; None if there never was one, or it is unknown.
        patience: how long a workflow may go without the success that was due.
    """
    now = end.ended_at
    if end.error is None:
        return Failure(), _recovery_message(end, before) if before.told_at else None
    since = before.since or now
    if before.told_at or now - _due_at(end.sync_type, last_success, since) < patience:
        return Failure(since, before.told_at), None
    return Failure(since, now), _failure_message(end, last_success, since)


def _due_at(sync_type: str, last_success: datetime | None, since: datetime) -> datetime:
    """Return when the next success was due; an initial sync is due on demand only."""
    if last_success is None or sync_type == "initial_sync":
        return since
    return last_success + CADENCE.get(sync_type, timedelta(0))


def _failure_message(end: RunEnd, last_success: datetime | None, since: datetime) -> Message:
    name = command_name(end.sync_type)
    quiet = f"had no success since {_shown(last_success)}" if last_success else "had no success"
    return Message(
        f"MangaHub: {name} keeps failing",
        f"{name} on {socket.gethostname()} has {quiet}, and fails since {_shown(since)}.\n"
        f"The last error: {end.error}\n"
        "What to do: run `mangahub-batch doctor`, which names the usual cures, and look at "
        f"`mangahub-batch status` and `journalctl -u mangahub-{name}`.\n"
        "There will be one more message, when it works again.",
        is_good=False,
    )


def _recovery_message(end: RunEnd, before: Failure) -> Message:
    name = command_name(end.sync_type)
    failed = f" It had failed since {_shown(before.since)}." if before.since else ""
    return Message(
        f"MangaHub: {name} works again",
        f"{name} on {socket.gethostname()} has succeeded at {_shown(end.ended_at)}.{failed}",
        is_good=True,
    )


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


# --- memory ------------------------------------------------------------------------------------


class Memory:
    """What is remembered of one workflow.

    Args:
        connection: None while the database cannot be had.
        folder: where the file lies that stands in for it.
    """

    def __init__(self, connection: Connection | None, folder: Path, sync_type: str) -> None:
        self._connection = connection
        self._file = folder / "alerts.json"
        self._sync_type = sync_type

    def read(self) -> tuple[Failure, datetime | None]:
        """Return the failure, and when the workflow last succeeded as far as is known."""
        filed = _failure(self._entries().get(self._sync_type))
        if self._connection is not None:
            try:
                row = sync_state.read(self._connection, self._sync_type)
                return _joined(_failure(row.metadata.get(_KEY)), filed), row.last_success_at
            except psycopg.Error:  # as where the schema is an old one
                self._connection = None
        return filed, None

    def write(self, failure: Failure) -> None:
        """Replace what is remembered.

        Raises:
            OSError: it is to be kept in the file, which cannot be written.
        """
        if self._connection is not None:
            try:
                sync_state.note(self._connection, self._sync_type, **{_KEY: _plain(failure)})
                failure = Failure()
            except psycopg.Error:  # as on a full disk
                self._connection = None
        self._write_file(_plain(failure))

    def _write_file(self, entry: JsonObject | None) -> None:
        known = self._entries()
        others = {key: value for key, value in known.items() if key != self._sync_type}
        entries = others if entry is None else {**others, self._sync_type: entry}
        if entries == known:
            return
        self._file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        draft.write_text(json.dumps(entries), encoding="utf-8")
        draft.replace(self._file)

    def _entries(self) -> JsonObject:
        with suppress(OSError, ValueError):
            content = json.loads(self._file.read_text(encoding="utf-8"))
            if isinstance(content, dict):
                return content
        return {}


def _joined(one: Failure, other: Failure) -> Failure:
    since = min(filter(None, (one.since, other.since)), default=None)
    return Failure(since, one.told_at or other.told_at)


def _failure(value: object) -> Failure:
    facts = value if isinstance(value, Mapping) else {}
    return Failure(read_cursor(facts.get("since")), read_cursor(facts.get("told_at")))


def _plain(failure: Failure) -> JsonObject | None:
    if failure == Failure():
        return None
    moments = {"since": failure.since, "told_at": failure.told_at}
    return {name: moment.isoformat() for name, moment in moments.items() if moment}


# --- sending -----------------------------------------------------------------------------------


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
