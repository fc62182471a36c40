"""What each channel is owed, and how its messages went: SQL.

A message is fixed (`sending_id`) before it is sent, so that whoever follows a sender that died
sends the same one again, with the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import sql
from notify_server.store.horizon import Horizon
from readers.channels import addresses
from readers.channels.addresses import TRUSTED, Policy
from readers.channels.messages import Delivery, Due, Message, News, message_id
from readers.channels.options import Digest, next_digest
from readers.foreign_rows import CONTENT, read_content
from readers.portions import PORTION, TELL

PAUSED = "CHANNEL_PAUSED"  # the type of the notification that a reader gets


# --- what is due ---------------------------------------------------------------------------------

_WAITING = """
    SELECT n.id, n.created_at FROM notifications n
    WHERE n.user_id = c.user_id AND n.id > d.last_id AND n.id <= %(horizon)s
      AND (c.only_types IS NULL OR n.type = ANY(c.only_types))
    ORDER BY n.id"""
_DUE = f"""
SELECT c.id, c.server, d.attempts, c.digest_at IS NOT NULL,
       CASE WHEN waiting.id IS NOT NULL THEN coalesce(waiting.created_at, 'epoch') END
FROM reader_channels c JOIN channel_deliveries d ON d.channel_id = c.id
LEFT JOIN LATERAL ({_WAITING} LIMIT 1) AS waiting ON d.sending_id IS NULL
WHERE c.paused_at IS NULL AND c.id <> ALL(%(busy)s) AND c.server <> ALL(%(full)s)
  AND (d.next_attempt_at IS NULL OR d.next_attempt_at <= now())
  AND (d.sending_id IS NOT NULL OR waiting.id IS NOT NULL)
ORDER BY d.attempts > 0, waiting.created_at NULLS FIRST, c.id LIMIT %(most)s"""
# A digest for which nothing has come is due again the next day.
_EMPTY_DIGESTS = f"""
SELECT c.id, c.digest_at, c.time_zone
FROM reader_channels c JOIN channel_deliveries d ON d.channel_id = c.id
LEFT JOIN LATERAL ({_WAITING} LIMIT 1) AS waiting ON true
WHERE c.digest_at IS NOT NULL AND d.sending_id IS NULL AND waiting.id IS NULL
  AND d.next_attempt_at <= now()"""
# What a channel is not sent is not looked at again and again.
_SKIP = f"""
UPDATE channel_deliveries SET last_id = %(horizon)s
FROM reader_channels c JOIN channel_deliveries d ON d.channel_id = c.id
LEFT JOIN LATERAL ({_WAITING} LIMIT 1) AS waiting ON true
WHERE channel_deliveries.channel_id = c.id AND c.only_types IS NOT NULL
  AND d.sending_id IS NULL AND waiting.id IS NULL AND d.last_id < %(horizon)s"""


def find_due(
    connection: sql.Connection,
    horizon: Horizon,
    busy: Sequence[int],
    full: Sequence[str],
    most: int,
) -> list[Due]:
    """Return channels that may be sent something, those that work first.

    Args:
        busy: ids of channels that are left out.
        full: servers that are left out.
    """
    values = {"horizon": horizon.id, "busy": list(busy), "full": list(full), "most": most}
    return [Due(*row) for row in connection.execute(_DUE.encode(), values).fetchall()]


def skip_unwanted(connection: sql.Connection, horizon: Horizon) -> None:
    """Move on the channels that wait for nothing of what is there."""
    values = {"horizon": horizon.id}
    connection.execute(_SKIP.encode(), values)
    for id, at, zone in connection.execute(_EMPTY_DIGESTS.encode(), values).fetchall():
        _await_digest(connection, id, Digest(at, zone))


# --- messages ------------------------------------------------------------------------------------

_BEGIN = f"""
UPDATE channel_deliveries SET sending_id = message.reaches
FROM unnest(%(channels)s::bigint[], %(sizes)s::integer[]) AS wanted (channel_id, size)
JOIN reader_channels c ON c.id = wanted.channel_id
JOIN channel_deliveries d ON d.channel_id = wanted.channel_id,
LATERAL (SELECT max(first.id) AS reaches FROM ({_WAITING} LIMIT wanted.size) AS first) AS message
WHERE channel_deliveries.channel_id = wanted.channel_id AND c.paused_at IS NULL
  AND channel_deliveries.sending_id IS NULL AND message.reaches IS NOT NULL"""
_CHANNEL = "c.id, c.kind, c.server, c.address, c.secret, c.is_trusted"
_LOAD = f"""
SELECT {_CHANNEL}, d.sending_id, d.attempts, d.failing_since, news.*
FROM reader_channels c JOIN channel_deliveries d ON d.channel_id = c.id
LEFT JOIN LATERAL (
    SELECT n.id, {CONTENT} FROM notifications n
    WHERE n.user_id = c.user_id AND n.id > d.last_id AND n.id <= d.sending_id
      AND (c.only_types IS NULL OR n.type = ANY(c.only_types))
    ORDER BY n.id) AS news ON true
WHERE c.id = ANY(%(channels)s) AND c.paused_at IS NULL AND d.sending_id IS NOT NULL
ORDER BY c.id, news.id"""


def begin_messages(
    connection: sql.Connection,
    horizon: Horizon,
    sizes: dict[int, int],
    policy: Policy,
    site: str | None,
) -> list[Delivery]:
    """Fix the next message of each channel, unless one is, and return them.

    Args:
        sizes: by channel, how many notifications a new message may have.
        policy: of channels that readers have added.
        site: the website's address, if readers can be sent to it.
    """
    values = {
        "horizon": horizon.id,
        "channels": list(sizes),
        "sizes": list(sizes.values()),
    }
    if sizes:
        connection.execute(_BEGIN.encode(), values)
    rows = connection.execute(_LOAD.encode(), {"channels": list(sizes)}).fetchall()
    return [
        _delivery(channel, [row[9:] for row in group], policy, site)
        for channel, group in groupby(rows, key=lambda row: row[:9])
    ]


def _delivery(
    channel: Sequence[Any], rows: list[Sequence[Any]], policy: Policy, site: str | None
) -> Delivery:
    id, kind, server, address, secret, is_trusted, reaches, attempts, failing_since = channel
    news = tuple(News(row[0], read_content(row[1:])) for row in rows if row[0] is not None)
    message = Message(message_id(id, reaches), news, site)
    own = TRUSTED if is_trusted else policy
    return Delivery(
        id, kind, server, address, secret, own, message, reaches, attempts, failing_since
    )


def load_tests(
    connection: sql.Connection, policy: Policy, channel_id: int | None = None
) -> list[Delivery]:
    """Return a test of the given channel, or of all for which one is wanted."""
    rows = connection.execute(
        f"SELECT {_CHANNEL}, now() FROM reader_channels c"
        " JOIN channel_deliveries d ON d.channel_id = c.id"
        " WHERE CASE WHEN %(id)s::bigint IS NULL THEN test_wanted_at IS NOT NULL"
        "  ELSE c.id = %(id)s END".encode(),
        {"id": channel_id},
    ).fetchall()
    found = []
    for id, kind, server, address, secret, is_trusted, now in rows:
        message = Message(f"msg_{id}_test_{now.timestamp():.0f}")
        own = TRUSTED if is_trusted else policy
        found.append(Delivery(id, kind, server, address, secret, own, message))
    return found


# --- how they went -------------------------------------------------------------------------------


def note_success(connection: sql.Connection, delivery: Delivery) -> None:
    """Record that a message was accepted, or that nothing is left of what it was about."""
    with connection.transaction():
        row = connection.execute(
            "UPDATE channel_deliveries d SET last_id = sending_id, sending_id = NULL, attempts = 0,"
            " failing_since = NULL, last_error = NULL, next_attempt_at = NULL,"
            " last_success_at = CASE WHEN %s THEN now() ELSE last_success_at END"
            " FROM reader_channels c"
            " WHERE c.id = d.channel_id AND channel_id = %s AND sending_id = %s"
            " RETURNING c.digest_at, c.time_zone",
            [bool(delivery.message.news), delivery.channel_id, delivery.reaches],
        ).fetchone()
        if row is not None and row[0] is not None:
            _await_digest(connection, delivery.channel_id, Digest(*row))


def _await_digest(connection: sql.Connection, channel_id: int, digest: Digest) -> None:
    connection.execute(
        "UPDATE channel_deliveries SET next_attempt_at = %s WHERE channel_id = %s",
        [next_digest(digest, datetime.now(UTC)), channel_id],
    )


def note_failure(
    connection: sql.Connection, delivery: Delivery, error: str, again_at: datetime | None
) -> None:
    """Record that a message was not accepted.

    Args:
        again_at: when it is tried again; None pauses the channel, and tells its reader.
    """
    with connection.transaction():
        is_there = connection.execute(
            "UPDATE channel_deliveries SET attempts = attempts + 1, last_error = %s,"
            " failing_since = coalesce(failing_since, now()), next_attempt_at = %s"
            " WHERE channel_id = %s AND sending_id = %s",
            [error, again_at, delivery.channel_id, delivery.reaches],
        ).rowcount
        if is_there and again_at is None:
            _pause(connection, delivery, error)


# As an event is stored, so that it is pushed to the reader's clients too.
_PAUSE = f"""
WITH paused AS (
    UPDATE reader_channels SET paused_at = now() WHERE id = %(channel)s AND paused_at IS NULL
    RETURNING user_id
), receipt AS (
    INSERT INTO notification_receipts (event_id, type)
    SELECT %(event)s, 'channel-paused' FROM paused RETURNING event_id
), stored AS (
    INSERT INTO notifications (user_id, type, title, message, data, event_id, read, created_at)
    SELECT user_id, '{PAUSED}', 'MangaHub', %(message)s, '{{"data": {{}}, "changes": []}}',
           event_id, false, now() FROM paused, receipt
    RETURNING id, event_id
), portions AS ({PORTION}
)
SELECT {TELL} FROM (SELECT event_id, id AS portion FROM portions) AS told"""


def _pause(connection: sql.Connection, delivery: Delivery, error: str) -> None:
    shown = addresses.mask(delivery.kind, delivery.server)
    message = (
        f"The channel {shown} has failed for 3 days and is paused: {error}. Resume it under"
        f" Devices, or by `mangahub-notify channel resume USER {delivery.channel_id}`."
    )
    event = f"{delivery.message.id}:paused:{datetime.now(UTC):%Y%m%dT%H%M%S}"
    values = {"channel": delivery.channel_id, "event": event, "message": message}
    connection.execute(_PAUSE.encode(), values)
