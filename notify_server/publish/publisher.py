"""Accepts events: stores them first, then pushes them to the channels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import psycopg

import sql
from notify_server.errors import TooBusy, Unstorable
from notify_server.events.kinds import Event
from notify_server.publish.channels import Channel
from notify_server.publish.claims import Claims
from notify_server.store import notifications
from notify_server.store.notifications import EventOutcome, StoredEvent, StoreResult
from readers.datagram import Content
from sql.connections import Database

# The most recipients that may be waiting: 12 MB.
_MAX_BACKLOG = 500_000
_ATTEMPTS = 3


@dataclass(frozen=True)
class Publisher:
    """Stores events and pushes them."""

    database: Database
    claims: Claims
    channels: Sequence[Channel]

    def publish(self, event: Event, received: float | None = None) -> StoreResult:
        """Store the event, committed on return, and push it to the channels.

        Args:
            received: monotonic time of the POST.

        Raises:
            TooBusy: too many recipients are waiting; nothing was stored.
            DatabaseDown, DatabaseUnwritable: nothing was accepted.
            Unstorable: the database rejects this event.
        """
        if max(channel.backlog for channel in self.channels) >= _MAX_BACKLOG:
            raise TooBusy("too many notifications are waiting to be sent: try again in a second")
        started = monotonic() if received is None else received
        xid, is_certain = None, False
        self.claims.begin(event.event_id)
        try:
            result = self._store(event)
            is_certain = True
            if result.outcome is EventOutcome.STORED:
                self._push(event, result, started)
                xid = result.xid
            return result
        finally:
            self.claims.end(event.event_id, xid, is_certain)

    def _store(self, event: Event) -> StoreResult:
        try:
            for _ in range(_ATTEMPTS - 1):
                # A user or the title was deleted just now.
                with suppress(psycopg.errors.ForeignKeyViolation):
                    return self._store_once(event)
            return self._store_once(event)
        except sql.REJECTIONS as exc:
            raise Unstorable(f"the database refuses it: {sql.one_line(exc)}") from exc

    def _store_once(self, event: Event) -> StoreResult:
        with self.database.connection() as connection:
            result = notifications.store_event(connection, event)
        self.database.note_written()
        return result

    def _push(self, event: Event, result: StoreResult, received: float) -> None:
        for share in result.shares:
            content = Content(
                event.kind.datagram_type,
                event.manga_id,
                event.title,
                event.message,
                result.created_at,
                event.data if share.behind is None else {**event.data, "behind": share.behind},
                event.changes,
            )
            stored = StoredEvent(content, result.xid, share.recipients, received)
            for channel in self.channels:
                channel.push(stored)
