"""Alert an operator once when a workflow keeps failing, and once when it works again.

    how the run ended + what is remembered → decide (pure) → send → remember

Sending comes first: a message that could not be sent, or whose program was killed in between, is
sent again rather than never.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from batch.config import Config
from batch.reporting.alert_memory import Failure, Memory
from batch.reporting.alert_sender import Message, send
from batch.stop import SignalStop
from sql import Connection
from sql.state.workflows import CADENCE, command_name

_DAY = timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended; `error` is one line, None after a success."""

    sync_type: str
    ended_at: datetime
    error: str | None


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
