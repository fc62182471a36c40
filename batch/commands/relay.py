"""`relay`: deliver every event that is owed, whatever its next attempt's time."""

from __future__ import annotations

import sql
from batch.commands.context import Command, Context, Failed, Report, open_database
from batch.delivery.relay import deliver_owed
from batch.errors import EXIT_OK, EXIT_TRY_LATER, Stopped
from batch.reporting import after_run
from batch.store import outbox


def run(context: Context) -> Report:
    """Try once to deliver all events; 75 where some are still owed.

    Raises:
        Failed: a signal came.
    """
    with open_database(sql.database_url(context.env)) as connection:
        try:
            done = deliver_owed(connection, context.config, context.stop, everything=True)
        except Stopped as exc:
            owed = outbox.count_owed(connection)
            raise Failed(exc, {"sync_type": "relay", "status": "stopped", "owed": owed}) from exc
        owed = outbox.count_owed(connection)
        after_run.write_state(context.config, connection)
    data: dict[str, object] = {
        "sync_type": "relay",
        "status": "owed" if owed else "completed",
        "accepted": done.accepted,
        "owed": owed,
    }
    text = f"{done.accepted:,} events delivered, {owed:,} still owed"
    return Report(data, text, EXIT_TRY_LATER if owed else EXIT_OK)


COMMAND = Command("relay", "deliver events that are still owed", run)
