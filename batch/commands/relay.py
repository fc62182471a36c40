"""`relay`: deliver every event that is owed, whatever its next attempt's time."""

from __future__ import annotations

from dataclasses import asdict

import sql
from batch.commands.context import Command, Context, Failed, Report, open_database
from batch.delivery.relay import deliver_owed
from batch.errors import EXIT_OK, EXIT_TRY_LATER, Stopped
from batch.reporting import after_run
from sql.state import backlog

MAX_LISTED = 20  # rejected events


def run(context: Context) -> Report:
    """Try once to deliver all events; 75 if some are still owed.

    Raises:
        Failed: a signal came.
    """
    with open_database(sql.database_url(context.env)) as connection:
        try:
            done = deliver_owed(connection, context.config, context.stop, everything=True)
        except Stopped as exc:
            owed = backlog.read_backlog(connection).count
            raise Failed(exc, {"sync_type": "relay", "status": "stopped", "owed": owed}) from exc
        owed = backlog.read_backlog(connection).count
        rejected = backlog.read_rejected(connection, MAX_LISTED)
        after_run.write_state(context.config, connection)
    data: dict[str, object] = {
        "sync_type": "relay",
        "status": "owed" if owed else "completed",
        "accepted": done.accepted,
        "owed": owed,
        "rejected": [asdict(event) for event in rejected],
    }
    lines = [f"{done.accepted:,} events delivered, {owed:,} still owed"]
    lines += [shown_rejection(event) for event in rejected]
    return Report(data, lines, EXIT_TRY_LATER if owed else EXIT_OK)


def shown_rejection(event: backlog.RejectedEvent) -> str:
    """Return a line for people."""
    return f"rejected by the server: {event.type} of {event.title}: {event.error}"


COMMAND = Command("relay", "deliver events that are still owed", run)
