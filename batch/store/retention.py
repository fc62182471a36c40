"""Retention: deletes old rows that are no longer needed, if a number of days is given.

Deleted, in this order:
- notifications that were read and are older than so many days, by the later of their creation and
  their delivery;
- events of the outbox that were accepted more than so many days ago, and at least LEAST_EVENT_DAYS;
- receipts of the notification server of the same age.

Never deleted:
- unread notifications, however old, and rows of other programs without any date;
- an event that is still owed, and its receipt: the relay may have sent it without learning that it
  was accepted, and sends it again, even weeks later;
- a receipt whose event stays in the outbox. Only other programs that repeat a POST later than
  that would notify again;
- an update of a title's current version. If a value is changed back, by hand or by the source, the
  same update of the same version is made again, and its key must still be there. Versions only
  rise, so updates of older ones are not made again;
- announcements and baselines of chapters: they decide that a chapter was never announced, which
  needs no key of an event. A title is new only once, when it is inserted.

Each portion is a short transaction over PORTION neighbouring rows, followed by a pause if it
deleted something. Locked rows are left for the next run. If a whole table is locked the command
gives up, so no other program waits longer than for one portion.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import psycopg

from batch.errors import LockHeld
from batch.stop import Stop
from sql import Connection

LEAST_EVENT_DAYS = 30
PORTION = 2_000  # rows looked at in one transaction
PAUSE_S = 0.05
_LOCK_TIMEOUT = "1s"  # for a table that is locked as a whole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Which rows of a table are deleted: `condition` uses %(days)s; `key` orders the rows."""

    name: str
    table: str
    key: str
    condition: str
    least_days: int = 1


_MOMENT = "now() - make_interval(days => %(days)s)"
# `greatest` ignores NULL; with both NULL the age is unknown, and the row stays.
_OLD_NOTIFICATION = f"read IS TRUE AND greatest(created_at, delivered_at) < {_MOMENT}"
_OLD_EVENT = f"""accepted_at < {_MOMENT} AND (notification_events.type <> 'manga-update' OR EXISTS (
    SELECT FROM manga WHERE manga.id = notification_events.manga_id AND manga.mangadex_version
    > substring(dedup_key FROM '^manga-update:[^:]+:([0-9]{{1,9}}):')::integer))"""
_OLD_RECEIPT = f"""received_at < {_MOMENT} AND NOT EXISTS (
    SELECT FROM notification_events WHERE dedup_key = notification_receipts.event_id
    AND ({_OLD_EVENT}) IS NOT TRUE)"""
_RULES = (
    _Rule("notifications", "notifications", "id", _OLD_NOTIFICATION),
    _Rule("events", "notification_events", "id", _OLD_EVENT, LEAST_EVENT_DAYS),
    _Rule("receipts", "notification_receipts", "seq", _OLD_RECEIPT, LEAST_EVENT_DAYS),
    _Rule("changes", "manga_changes", "id", f"changed_at < {_MOMENT}"),
)
NAMES = tuple(rule.name for rule in _RULES)


def count_old(connection: Connection, days: int) -> dict[str, int]:
    """Return how many rows `delete_old` would delete now."""
    return {rule.name: _count(connection, rule, days) for rule in _RULES}


def delete_old(connection: Connection, days: int, stop: Stop, done: dict[str, int]) -> None:
    """Delete what is older than `days` and no longer needed.

    Args:
        connection: autocommit.
        done: filled with the number of deleted rows by kind, also if it ends early.

    Raises:
        LockHeld: another session has locked a whole table.
        Stopped: what was deleted stays deleted.
    """
    connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'".encode())
    for rule in _RULES:
        try:
            _delete(connection, rule, days, stop, done)
        except psycopg.errors.LockNotAvailable:
            raise LockHeld(f"the table {rule.table} is locked by another session") from None
        log.info("Deleted old rows kind=%s rows=%d", rule.name, done[rule.name])


def _delete(
    connection: Connection, rule: _Rule, days: int, stop: Stop, done: dict[str, int]
) -> None:
    """Walk through the table by its key, portion by portion."""
    done[rule.name] = 0
    after: int | None = None
    while True:
        stop.check()
        upto = _end_of_portion(connection, rule, after)
        if upto is None:
            return
        deleted = connection.execute(
            f"DELETE FROM {rule.table} WHERE {rule.key} IN ("
            f" SELECT {rule.key} FROM {rule.table} "
            f" WHERE (%(after)s::bigint IS NULL OR {rule.key} > %(after)s)"
            f" AND {rule.key} <= %(upto)s AND {rule.condition}"
            " FOR UPDATE SKIP LOCKED)".encode(),
            {"after": after, "upto": upto, "days": max(days, rule.least_days)},
        ).rowcount
        done[rule.name] += deleted
        after = upto
        if deleted:
            stop.wait(PAUSE_S)


def _end_of_portion(connection: Connection, rule: _Rule, after: int | None) -> int | None:
    """Return the last key of the next portion; None if there is none."""
    row = connection.execute(
        f"SELECT max({rule.key}) FROM (SELECT {rule.key} FROM {rule.table}"
        f" WHERE %(after)s::bigint IS NULL OR {rule.key} > %(after)s"
        f" ORDER BY {rule.key} LIMIT %(size)s) AS portion".encode(),
        {"after": after, "size": PORTION},
    ).fetchone()
    return row[0] if row else None


def _count(connection: Connection, rule: _Rule, days: int) -> int:
    row = connection.execute(
        f"SELECT count(*) FROM {rule.table} WHERE {rule.condition}".encode(),
        {"days": max(days, rule.least_days)},
    ).fetchone()
    return int(row[0]) if row else 0
