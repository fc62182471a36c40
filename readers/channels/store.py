"""Readers' channels: SQL.

Of an address no more than `Channel.address` leaves this module; the sender alone reads the rest.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

import sql
from readers.channels import addresses
from readers.channels.addresses import WEBHOOK, Address
from readers.channels.options import Digest, Options, next_digest
from readers.errors import NotFound, Taken
from readers.users import User

WAKE = "mangahub_channels"  # tells the sender that something has changed
MOST_CHANNELS = 16  # of one reader
_SECRET_BYTES = 32  # Standard Webhooks: 24 to 64


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as its reader may see it.

    Attributes:
        address: without credentials.
        failing_since: None while it works.
        last_error: why the last message was not accepted; None if it was.
        test_wanted_at: since when a test message waits for the sender.
        test_error: why the last test failed; None if it succeeded, or there was none.
    """

    id: int
    user_id: UUID
    kind: str
    address: str
    options: Options
    is_trusted: bool
    created_at: datetime
    paused_at: datetime | None
    failing_since: datetime | None
    next_attempt_at: datetime | None
    last_success_at: datetime | None
    last_error: str | None
    test_wanted_at: datetime | None
    tested_at: datetime | None
    test_error: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What an operator sees of all channels.

    Attributes:
        unsent: of those that work, for how many something has waited for ten minutes; no sender
            runs then.
    """

    working: int = 0
    failing: int = 0
    paused: int = 0
    unsent: int = 0


# --- adding and finding --------------------------------------------------------------------------

# Of a sequence that others use too, or that an adopted table lacks, the rows tell as well.
LAST_ID = (
    "greatest(pg_sequence_last_value(pg_get_serial_sequence('notifications', 'id')),"
    " (SELECT max(id) FROM notifications), 0)"
)
_ADD = f"""
WITH added AS (
    INSERT INTO reader_channels (user_id, kind, address, server, secret, only_types, digest_at,
                                 time_zone, is_trusted)
    SELECT %(user)s, %(kind)s, %(address)s, %(server)s, %(secret)s, %(only)s, %(at)s, %(zone)s,
           %(trusted)s
    WHERE (SELECT count(*) FROM reader_channels WHERE user_id = %(user)s) < {MOST_CHANNELS}
    RETURNING id
)
INSERT INTO channel_deliveries (channel_id, last_id, next_attempt_at)
SELECT id, {LAST_ID}, %(next)s FROM added RETURNING channel_id"""


def add_channel(
    connection: sql.Connection,
    user: User,
    address: Address,
    options: Options,
    is_trusted: bool = False,
) -> tuple[Channel, str | None]:
    """Add a channel; it is sent what is stored from now on.

    Returns:
        the channel, and of a webhook the secret `whsec_…`, which can be had only now.

    Raises:
        Taken: the reader has it already, or has too many.
    """
    digest, secret = options.digest, _new_secret() if address.kind == WEBHOOK else None
    values = {
        "user": user.id,
        "kind": address.kind,
        "address": address.text,
        "server": address.server,
        "secret": secret,
        "only": options.only,
        "at": digest and digest.at,
        "zone": digest.zone if digest else "UTC",
        "trusted": is_trusted,
        "next": digest and next_digest(digest, datetime.now(UTC)),
    }
    try:
        row = connection.execute(_ADD.encode(), values).fetchone()
    except psycopg.errors.UniqueViolation:
        known = find_channel(connection, user, address.text)
        raise Taken(f"the user has this channel already: {known.id} {known.address}") from None
    if row is None:
        raise Taken(f"the user has {MOST_CHANNELS} channels already: remove one")
    _wake(connection)
    return find_channel(connection, user, str(row[0])), secret


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


_COLUMNS = """
    id, user_id, kind, server, only_types, digest_at, time_zone, is_trusted, created_at,
    paused_at, failing_since, next_attempt_at, last_success_at, last_error,
    test_wanted_at, tested_at, test_error
    FROM reader_channels JOIN channel_deliveries ON channel_id = id"""


def list_channels(connection: sql.Connection, user: User) -> list[Channel]:
    """Return a reader's channels, oldest first."""
    query = f"SELECT {_COLUMNS} WHERE user_id = %s ORDER BY id"
    return [_channel(row) for row in connection.execute(query.encode(), [user.id]).fetchall()]


def find_channel(connection: sql.Connection, user: User, text: str) -> Channel:
    """Return the reader's channel of this id or address.

    Raises:
        NotFound: the reader has none.
    """
    query = f"SELECT {_COLUMNS} WHERE user_id = %s AND (id::text = %s OR address = %s)"
    row = connection.execute(query.encode(), [user.id, text, text]).fetchone()
    if row is None:
        # It may be an address with a typing error: it is not repeated.
        shown = repr(text) if text.isdigit() else "of this address"
        raise NotFound(f"the user has no channel {shown:.40}: `channel list` shows them")
    return _channel(row)


def _channel(row: tuple[Any, ...]) -> Channel:
    id, user_id, kind, server, only, at, zone, is_trusted, *rest = row
    address = addresses.mask(kind, server)
    options = Options(only, Digest(at, zone) if at is not None else None)
    return Channel(id, user_id, kind, address, options, is_trusted, *rest)


_COUNT = """
SELECT count(*) FILTER (WHERE paused_at IS NULL AND failing_since IS NULL),
       count(*) FILTER (WHERE paused_at IS NULL AND failing_since IS NOT NULL),
       count(*) FILTER (WHERE paused_at IS NOT NULL),
       count(*) FILTER (WHERE waiting.since < now() - interval '10 minutes')
FROM reader_channels c JOIN channel_deliveries d ON d.channel_id = c.id
LEFT JOIN LATERAL (
    SELECT n.created_at AS since FROM notifications n
    WHERE n.user_id = c.user_id AND n.id > d.last_id
      AND (c.only_types IS NULL OR n.type = ANY(c.only_types)) ORDER BY n.id LIMIT 1) AS waiting
ON c.paused_at IS NULL AND d.failing_since IS NULL AND c.digest_at IS NULL"""


def count_channels(connection: sql.Connection) -> Counts:
    """Count the channels of all readers."""
    return Counts(*connection.execute(_COUNT.encode()).fetchall()[0])


# --- changing ------------------------------------------------------------------------------------


def remove_channel(connection: sql.Connection, channel: Channel) -> None:
    """Remove a channel with its address and secret."""
    connection.execute("DELETE FROM reader_channels WHERE id = %s", [channel.id])


def pause_channel(connection: sql.Connection, channel: Channel) -> None:
    """Send nothing to a channel until it is resumed."""
    connection.execute(
        "UPDATE reader_channels SET paused_at = now() WHERE id = %s AND paused_at IS NULL",
        [channel.id],
    )


def resume_channel(connection: sql.Connection, channel: Channel) -> None:
    """Send what has waited, and what comes."""
    digest = channel.options.digest
    with connection.transaction():
        resumed = connection.execute(
            "UPDATE reader_channels SET paused_at = NULL WHERE id = %s AND paused_at IS NOT NULL",
            [channel.id],
        ).rowcount
        if resumed:
            connection.execute(
                "UPDATE channel_deliveries SET attempts = 0, failing_since = NULL,"
                " next_attempt_at = %s WHERE channel_id = %s",
                [digest and next_digest(digest, datetime.now(UTC)), channel.id],
            )
    _wake(connection)


def request_test(connection: sql.Connection, channel: Channel) -> None:
    """Have the sender send a test message; `Channel` says how it went."""
    connection.execute(
        "UPDATE channel_deliveries SET test_wanted_at = now() WHERE channel_id = %s",
        [channel.id],
    )
    _wake(connection)


def note_test(connection: sql.Connection, channel_id: int, error: str | None) -> None:
    """Record how a test went."""
    connection.execute(
        "UPDATE channel_deliveries SET test_wanted_at = NULL, tested_at = now(), test_error = %s"
        " WHERE channel_id = %s",
        [error, channel_id],
    )


def _wake(connection: sql.Connection) -> None:
    connection.execute("SELECT pg_notify(%s, '')", [WAKE])
