"""Deletes what nobody needs any more: `retention`, off unless a number of days is given.

Deleted are, in this order,
- notifications that were read and are older than so many days, by the later of their creation and
  their delivery;
- events of the outbox accepted more than so many days ago, and at least LEAST_EVENT_DAYS;
- receipts of the notification server of the same age.

Never deleted is
- what is unread, however old, and what other programs left without any date;
- an event that is still owed, and its receipt: the relay may have sent it without hearing that it
  was accepted, and sends it again after weeks of trouble;
- a receipt whose event stays in the outbox. Only other programs that repeat a POST later than
  that would notify anew;
- an update of a title's current version. A value that is changed back by hand, or by an answer of
  the source that flaps, makes the same update of the same version again, and its key must still
  be there. Versions only rise: of older ones nothing comes again;
- announcements and baselines of chapters: they decide that a chapter was never told before, and the
  key of a deleted event is not needed for that. Titles are new once: when they are inserted.

Each portion is a short transaction over PORTION neighbouring rows, with a pause after those that
deleted something. Rows that are locked are left for the next time, and where a table is locked as
a whole the command gives up: nobody ever waits for it longer than for one portion.
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
_PATIENCE = "1s"  # for a table that is locked as a whole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What of a table may go; `key` orders its rows, `condition` speaks of it and of %(days)s."""

    name: str
    table: str
    key: str
    condition: str
    least_days: int = 1


_MOMENT = "now() - make_interval(days => %(days)s)"
# `greatest` passes over NULL; of two of them nothing is known.
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
)
NAMES = tuple(rule.name for rule in _RULES)


def count_old(connection: Connection, days: int) -> dict[str, int]:
    """Return how many rows `delete_old` would delete now."""
    return {rule.name: _count(connection, rule, days) for rule in _RULES}


def delete_old(connection: Connection, days: int, stop: Stop, done: dict[str, int]) -> None:
    """Delete what is older than `days` and needed by nobody.

    Args:
        connection: autocommit.
        done: filled with how many rows of each kind are gone, also where it ends early.

    Raises:
        LockHeld: somebody else has locked a table as a whole.
        Stopped: what is deleted until then stays deleted.
    """
    connection.execute(f"SET lock_timeout = '{_PATIENCE}'".encode())
    for rule in _RULES:
        try:
            _delete(connection, rule, days, stop, done)
        except psycopg.errors.LockNotAvailable:
            raise LockHeld(f"the table {rule.table} is locked by somebody else") from None
        log.info("Deleted what is old kind=%s rows=%d", rule.name, done[rule.name])


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
