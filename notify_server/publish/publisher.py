"""Accepts events: stores them first, then pushes them to the channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic

import psycopg

import sql
from notify_server.errors import TooBusy, Unstorable
from notify_server.events.kinds import Event
from notify_server.publish.channels import Channel
from notify_server.publish.claims import Claims
from notify_server.store import notifications
from notify_server.store.notifications import EventOutcome, StoredEvent, StoreResult
from notify_server.store.unfinished import Unfinished
from readers.datagram import Content
from sql.connections import Database

# The most recipients that may be waiting: 12 MB.
_MAX_BACKLOG = 500_000
_ATTEMPTS = 3

Store = Callable[[sql.Connection], StoreResult]


@dataclass(frozen=True)
class Publisher:
    """Stores events and pushes them.

    Attributes:
        on_unfinished: called with the id of an event that has more recipients than one portion.
    """

    database: Database
    claims: Claims
    channels: Sequence[Channel]
    on_unfinished: Callable[[str], None]

    def publish(self, event: Event, received: float | None = None) -> StoreResult:
        """Store the event, committed on return, and push it to the channels.

        Of many recipients the first ones have their rows then; `on_unfinished` hears of the rest.

        Args:
            received: monotonic time of the POST.

        Raises:
            TooBusy: too many recipients are waiting; nothing was stored.
            DatabaseDown, DatabaseUnwritable: nothing was accepted.
            Unstorable: the database rejects this event.
        """
        if max(channel.backlog for channel in self.channels) >= _MAX_BACKLOG:
            raise TooBusy("too many notifications are waiting to be sent: try again in a second")
        store = partial(notifications.store_event, event=event)
        result = self._store_and_push(event, store, monotonic() if received is None else received)
        if result.is_unfinished:
            self.on_unfinished(event.event_id)
        return result

    def publish_more(self, unfinished: Unfinished) -> StoreResult:
        """Store the rows of an event's next recipients, and push them.

        Raises:
            DatabaseDown, DatabaseUnwritable, Unstorable: nothing was stored.
        """
        store = partial(notifications.store_next, unfinished=unfinished)
        return self._store_and_push(unfinished.event, store, None)

    def _store_and_push(self, event: Event, store: Store, received: float | None) -> StoreResult:
        xid, is_certain = None, False
        self.claims.begin(event.event_id)
        try:
            result = self._store(store)
            is_certain = True
            if result.outcome is EventOutcome.STORED:
                self._push(event, result, received)
                xid = result.xid
            return result
        finally:
            self.claims.end(event.event_id, xid, is_certain)

    def _store(self, store: Store) -> StoreResult:
        try:
            for _ in range(_ATTEMPTS - 1):
                # A user or the title was deleted just now.
                with suppress(psycopg.errors.ForeignKeyViolation):
                    return self._store_once(store)
            return self._store_once(store)
        except sql.REJECTIONS as exc:
            raise Unstorable(f"the database refuses it: {sql.one_line(exc)}") from exc

    def _store_once(self, store: Store) -> StoreResult:
        with self.database.connection() as connection:
            result = store(connection)
        self.database.note_written()
        return result

    def _push(self, event: Event, result: StoreResult, received: float | None) -> None:
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
