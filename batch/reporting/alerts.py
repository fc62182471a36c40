"""Tells an operator once when a workflow has failed for long, and once when it works again.

    how the run ended + what is remembered → decide (pure) → send → remember

What is remembered stands in `sync_state.metadata`; while the database is away, which may be the
very trouble, in `alerts.json` in the data directory. Sending comes first: a word that could not be
sent, or a program killed in between, is told again rather than never.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
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
from batch.models import JsonObject
from batch.process import die_with_parent
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
class Trouble:
    """What is remembered of a workflow that fails.

    Attributes:
        since: when it failed after the last good run; None where it works.
        told_at: when the operator heard of it.
    """

    since: datetime | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: `error` is one line, None for a good end."""

    sync_type: str
    ended_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Word:
    """What the operator is told."""

    title: str
    body: str
    is_good: bool


def follow_up(
    outcome: Outcome, config: Config, stop: SignalStop, connection: Connection | None
) -> None:
    """Tells what is to be told after a run, and remembers it.

    Raises:
        OSError: nothing can be remembered, so nothing is told, lest it be told after every run.
    """
    memory = Memory(connection, config.data_dir, outcome.sync_type)
    before, last_success = memory.read()
    after, word = decide(outcome, before, last_success, config.alert_after)
    if word is None:
        if after != before:
            memory.write(after)
        return
    untold = before if word.is_good else replace(after, told_at=None)
    memory.write(untold)
    if send(config.alert_urls, word, stop):
        log.info("The operator was told: %s", word.title)
        memory.write(after)


def decide(
    outcome: Outcome, before: Trouble, last_success: datetime | None, patience: timedelta
) -> tuple[Trouble, Word | None]:
    """What is to be remembered once the word, if there is one, has been sent.

    Args:
        last_success: before this run; None where there never was one, or nobody knows.
        patience: how long a workflow may go without the success that was due.
    """
    now = outcome.ended_at
    if outcome.error is None:
        return Trouble(), _good_word(outcome, before) if before.told_at else None
    since = before.since or now
    if before.told_at or now - _due_at(outcome.sync_type, last_success, since) < patience:
        return Trouble(since, before.told_at), None
    return Trouble(since, now), _bad_word(outcome, last_success, since)


def _due_at(sync_type: str, last_success: datetime | None, since: datetime) -> datetime:
    """When the next success was due; an initial sync is due when somebody asks for it."""
    if last_success is None or sync_type == "initial_sync":
        return since
    return last_success + CADENCE.get(sync_type, timedelta(0))


def _bad_word(outcome: Outcome, last_success: datetime | None, since: datetime) -> Word:
    name = _command(outcome)
    quiet = f"had no success since {_shown(last_success)}" if last_success else "had no success"
    return Word(
        f"MangaHub: {name} keeps failing",
        f"{name} on {socket.gethostname()} has {quiet}, and fails since {_shown(since)}.\n"
        f"The last error: {outcome.error}\n"
        "What to do: run `mangahub-batch doctor`, which names the usual cures, and look at "
        f"`mangahub-batch status` and `journalctl -u mangahub-{name}`.\n"
        "You will be told once more, when it works again.",
        is_good=False,
    )


def _good_word(outcome: Outcome, before: Trouble) -> Word:
    name = _command(outcome)
    failed = f" It had failed since {_shown(before.since)}." if before.since else ""
    return Word(
        f"MangaHub: {name} works again",
        f"{name} on {socket.gethostname()} has succeeded at {_shown(outcome.ended_at)}.{failed}",
        is_good=True,
    )


def _command(outcome: Outcome) -> str:
    return outcome.sync_type.replace("_", "-")


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

    def read(self) -> tuple[Trouble, datetime | None]:
        """The trouble, and when the workflow last succeeded as far as is known."""
        filed = _trouble(self._entries().get(self._sync_type))
        if self._connection is not None:
            try:
                row = sync_state.read(self._connection, self._sync_type)
                return _joined(_trouble(row.metadata.get(_KEY)), filed), row.last_success_at
            except psycopg.Error:  # as where the schema is an old one
                self._connection = None
        return filed, None

    def write(self, trouble: Trouble) -> None:
        """Replaces what is remembered.

        Raises:
            OSError: it is to be kept in the file, which cannot be written.
        """
        if self._connection is not None:
            try:
                sync_state.note(self._connection, self._sync_type, **{_KEY: _plain(trouble)})
                trouble = Trouble()
            except psycopg.Error:  # as on a full disk
                self._connection = None
        self._write_file(_plain(trouble))

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


def _joined(one: Trouble, other: Trouble) -> Trouble:
    since = min(filter(None, (one.since, other.since)), default=None)
    return Trouble(since, one.told_at or other.told_at)


def _trouble(value: object) -> Trouble:
    facts = value if isinstance(value, Mapping) else {}
    return Trouble(read_cursor(facts.get("since")), read_cursor(facts.get("told_at")))


def _plain(trouble: Trouble) -> JsonObject | None:
    if trouble == Trouble():
        return None
    moments = {"since": trouble.since, "told_at": trouble.told_at}
    return {name: moment.isoformat() for name, moment in moments.items() if moment}


# --- sending -----------------------------------------------------------------------------------


def is_installed() -> bool:
    return find_spec("apprise") is not None


def is_address(url: str) -> bool:
    """Whether Apprise has a service for it; nothing is sent. In a child, as it may log the URL."""
    child = multiprocessing.get_context("fork").Process(target=_parse, args=(url,))
    child.start()
    child.join(PATIENCE_S)
    child.kill()
    child.join()
    return child.exitcode == 0


def send(urls: tuple[str, ...], word: Word, stop: SignalStop) -> bool:
    """Whether the word has reached somebody; PATIENCE_S at most, less where a signal comes.

    Apprise's services wait, retry and start threads as each likes: a process for each address can
    be killed. No address is ever logged, as they hold passwords.
    """
    if not is_installed():
        log.warning("Nobody can be told of trouble: MANGAHUB_ALERT_URLS needs `%s`", INSTALL)
        return False
    context = multiprocessing.get_context("fork")
    senders = [
        context.Process(target=_send, args=(url, word, os.getpid()), name="alert") for url in urls
    ]
    for sender in senders:
        sender.start()
    _await(senders, stop)
    for sender in senders:
        sender.kill()
        sender.join()
    sent = sum(sender.exitcode == 0 for sender in senders)
    if sent < len(urls):
        log.warning("Not everybody could be told addresses=%d reached=%d", len(urls), sent)
    return sent > 0


def _parse(url: str) -> None:
    """In a child: exits with 0 where the address can be used."""
    _be_silent()
    import apprise

    os._exit(0 if apprise.Apprise().add(url) else 1)


def _await(senders: Sequence[BaseProcess], stop: SignalStop) -> None:
    """Until all have ended, a signal comes, or patience is at its end."""
    deadline_s = time.monotonic() + PATIENCE_S
    # Asked once a turn: whoever ends after it is known by its sentinel.
    while alive := [sender.sentinel for sender in senders if sender.is_alive()]:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or stop.signal_number is not None:
            return
        wait([stop.fileno(), *alive], left_s)


def _send(url: str, word: Word, parent: int) -> None:
    """In a child: exits with 0 where the address has taken the word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(parent)
    _be_silent()
    import apprise

    notifier = apprise.Apprise()
    kind = apprise.NotifyType.SUCCESS if word.is_good else apprise.NotifyType.FAILURE
    taken = notifier.add(url) and notifier.notify(
        body=word.body,
        title=word.title,
        notify_type=kind,
        body_format=apprise.NotifyFormat.TEXT,
    )
    # At once: threads that the library may have left are nobody's concern.
    os._exit(0 if taken else 1)


def _be_silent() -> None:
    """Neither the log nor a traceback may show the address."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
