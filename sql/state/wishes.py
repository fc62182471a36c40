"""What operators ask the batch to do again: a workflow, an item, an event."""

from __future__ import annotations

from sql.connection import Connection
from sql.state.backlog import REJECTED
from sql.state.workflows import METADATA


def wish_run(connection: Connection, sync_type: str) -> bool:
    """Ask for a run of the workflow; return whether there is such a one."""
    return bool(
        connection.execute(
            "INSERT INTO run_wishes (sync_type) SELECT sync_type FROM sync_state"
            " WHERE sync_type = %s ON CONFLICT (sync_type) DO UPDATE SET wished_at = now()",
            [sync_type],
        ).rowcount
    )


def read_wishes(connection: Connection) -> list[str]:
    """Return the workflows that are wished, the oldest wish first."""
    rows = connection.execute("SELECT sync_type FROM run_wishes ORDER BY wished_at, sync_type")
    return [sync_type for (sync_type,) in rows]


def forget_wish(connection: Connection, sync_type: str) -> None:
    """Note that the workflow runs."""
    connection.execute("DELETE FROM run_wishes WHERE sync_type = %s", [sync_type])


def retry_item(connection: Connection, sync_type: str, key: str) -> bool:
    """Make a rejected item due at once, in a run that is wished; return whether there is one."""
    with connection.transaction():
        found = connection.execute(
            f"UPDATE sync_state SET metadata = jsonb_set({METADATA},"
            " ARRAY['rejected', %(key)s, 'attempts'], '0') WHERE sync_type = %(type)s"
            f" AND {METADATA} #> ARRAY['rejected', %(key)s] IS NOT NULL".encode(),
            {"key": key, "type": sync_type},
        ).rowcount
        return bool(found) and wish_run(connection, sync_type)


def forget_item(connection: Connection, sync_type: str, key: str) -> bool:
    """Forget a rejected item; it is rejected again if the source still lists it so."""
    return bool(
        connection.execute(
            f"UPDATE sync_state SET metadata = {METADATA} #- ARRAY['rejected', %(key)s]"
            " WHERE sync_type = %(type)s"
            f" AND {METADATA} #> ARRAY['rejected', %(key)s] IS NOT NULL".encode(),
            {"key": key, "type": sync_type},
        ).rowcount
    )


def retry_event(connection: Connection, event_id: str) -> bool:
    """Owe a rejected event again: the next delivery sends it."""
    return bool(
        connection.execute(
            "UPDATE notification_events SET rejected_at = NULL, next_attempt_at = now()"
            f" WHERE dedup_key = %s AND {REJECTED}".encode(),
            [event_id],
        ).rowcount
    )
