"""The UDP side's one way to the database: marks, checks of subscriptions, pages of replays.

One thread, so that the order of its statements is known: ids that were handed over before a
subscription are marked before that subscription's unread rows are looked up. What was just
acknowledged is therefore never replayed.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TypeVar
from uuid import UUID

import psycopg

import sql
from notify_server.store import notifications, replay
from notify_server.store.connections import Database
from notify_server.udp.clients import Client
from notify_server.udp.delivery import Delivery
from notify_server.udp.subscriptions import JoinRequest, Subscriptions, Unread
from notify_server.wire import auth
from notify_server.wire.datagram import DatagramTemplate
from notify_server.wire.protocol import Subscribe

log = logging.getLogger(__name__)

Post = Callable[[Callable[[], None]], None]
PageRequest = tuple[Client, list[int]]
Mark = Callable[[sql.Connection, list[int]], object]
_T = TypeVar("_T")

_JOINS_AT_ONCE = 64
_PAGES_AT_ONCE = 32
_MARKS_AT_ONCE = 10_000
_MAX_MARKS = 1_000_000
_RETRY_S = 0.5
# What says nothing about the rows that were asked for: the same question again is of use.
_PASSING = (
    sql.SqlError,
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
)
_SHORT_WAIT = "SET LOCAL lock_timeout = '200ms'"


class DatabaseThread:
    """Takes requests from the UDP thread, and posts the answers back to it."""

    def __init__(self, database: Database, secret: str, may_join: Callable[[], bool]) -> None:
        """`may_join` tells whether other servers' events are followed: before, nobody joins."""
        self._database = database
        self._secret = secret
        self._may_join = may_join
        self._loader = replay.TemplateLoader()
        self._work = threading.Condition()
        self._acknowledged: list[int] = []
        self._read: list[int] = []
        self._joins: deque[JoinRequest] = deque()
        self._pages: deque[PageRequest] = deque()
        self._is_stopping = False
        # A daemon, so that a database that hangs cannot keep the process from leaving.
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)

    def connect(self, post: Post, delivery: Delivery, subscriptions: Subscriptions) -> None:
        """Where the answers go; once, before `start`."""
        self._post = post
        self._delivery = delivery
        self._subscriptions = subscriptions

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Returns when everything handed over is marked, or cannot be in this time."""
        with self._work:
            self._is_stopping = True
            self._work.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    # --- called by the UDP thread --------------------------------------------------------------

    def mark(self, acknowledged: list[int], read: list[int]) -> None:
        with self._work:
            self._acknowledged += acknowledged
            self._read += read
            self._work.notify()

    def request_join(self, request: JoinRequest) -> None:
        with self._work:
            self._joins.append(request)
            self._work.notify()

    def request_page(self, client: Client, ids: list[int]) -> None:
        with self._work:
            self._pages.append((client, ids))
            self._work.notify()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(self._has_work)
                acknowledged, self._acknowledged = self._acknowledged, []
                read, self._read = self._read, []
                joins = _take(self._joins, _JOINS_AT_ONCE)
                pages = _take(self._pages, _PAGES_AT_ONCE)
                is_stopping = self._is_stopping
            is_marked = self._mark(acknowledged, read)
            if joins:
                self._attempt(partial(self._check, joins), partial(self._postpone, joins))
            if pages:
                self._attempt(partial(self._load, pages), partial(self._retry_pages, pages))
            if is_stopping and (not is_marked or not self._has_requests()):
                return
            if not is_marked:
                self._wait_for_retry()

    def _has_work(self) -> bool:
        return self._is_stopping or self._has_requests()

    def _has_requests(self) -> bool:
        return bool(self._acknowledged or self._read or self._joins or self._pages)

    def _wait_for_retry(self) -> None:
        """Leaves the database alone for a moment, but not those who want to join."""
        until = monotonic() + _RETRY_S
        with self._work:
            self._work.wait_for(
                lambda: self._is_stopping or self._joins or self._pages, until - monotonic()
            )

    def _attempt(self, action: Callable[[], None], otherwise: Callable[[], None]) -> None:
        try:
            action()
        except sql.SqlError as exc:
            log.debug("The database could not be asked reason=%s", exc)
            otherwise()
        except Exception:  # of one request, which must not end the thread for all others
            log.exception("A request to the database has failed")
            otherwise()

    # --- marks ---------------------------------------------------------------------------------

    def _mark(self, acknowledged: list[int], read: list[int]) -> bool:
        """False where ids are left: the database is away, or another program holds their rows."""
        left_acknowledged = self._mark_all(notifications.mark_acknowledged, acknowledged)
        left_read = self._mark_all(notifications.mark_read, read)
        with self._work:
            self._acknowledged = (left_acknowledged + self._acknowledged)[-_MAX_MARKS:]
            self._read = (left_read + self._read)[-_MAX_MARKS:]
        return not (left_acknowledged or left_read)

    def _mark_all(self, mark: Mark, ids: list[int]) -> list[int]:
        """Marks in portions; returns what is left.

        Sorted, so that two servers that mark the same rows wait for each other in one order.
        """
        ids = sorted(set(ids)) if len(ids) > 1 else ids
        left: list[int] = []
        for start in range(0, len(ids), _MARKS_AT_ONCE):
            try:
                left += self._mark_portion(mark, ids[start : start + _MARKS_AT_ONCE])
            except (sql.SqlError, psycopg.errors.OperationalError) as exc:
                log.warning(
                    "Notifications could not be marked yet ids=%d reason=%s", len(ids) - start, exc
                )
                return left + ids[start:]
            except Exception:
                log.exception("Notifications could not be marked")
        return left

    def _mark_portion(self, mark: Mark, ids: list[int]) -> list[int]:
        """Marks all, or all but the rows that another program keeps locked; returns these.

        Who wants to join waits behind this, so it must not wait for others.
        """
        with self._database.connection() as connection:
            try:
                with connection.transaction():
                    connection.execute(_SHORT_WAIT)
                    mark(connection, ids)
                return []
            except psycopg.errors.LockNotAvailable:
                with connection.transaction():
                    free, held = notifications.take_free(connection, ids)
                    mark(connection, free)
                log.info("Another program keeps notifications locked ids=%d", len(held))
                return held

    # --- subscriptions -------------------------------------------------------------------------

    def _check(self, joins: list[JoinRequest]) -> None:
        if not self._may_join():
            self._postpone(joins)
            return
        with self._database.connection() as connection:
            users = list({request.client.user for request in joins})
            generations = replay.key_generations(connection, users)
            good = [r for r in joins if self._is_good(r, generations)]
            wanted = list({r.client.user for r in good})
            if wanted:
                ids, snapshot = replay.unread_ids(connection, wanted)
        accepted = set(map(id, good))
        for request in joins:
            if id(request) in accepted:
                user = request.client.user
                answer = Unread(ids.get(user, []), snapshot, generations[user])
                self._post(partial(self._accept, request, answer))
            else:
                self._post(partial(self._refuse, request))

    def _is_good(self, request: JoinRequest, generations: dict[bytes, int]) -> bool:
        generation = generations.get(request.client.user)
        if generation is None:
            return False
        message = request.message
        if message is None or message.cookie is None:
            return True
        return self._is_proved(message, request.client.user, message.cookie, generation)

    def _is_proved(self, message: Subscribe, user: bytes, cookie: str, generation: int) -> bool:
        key = auth.derive_key(self._secret, str(UUID(bytes=user)), generation)
        return auth.proof_is_valid(message.proof, key, message.user_text, message.ack, cookie)

    def _accept(self, request: JoinRequest, answer: Unread) -> None:
        self._subscriptions.accept(request, answer, monotonic())

    def _refuse(self, request: JoinRequest) -> None:
        self._subscriptions.refuse(request, monotonic())

    def _postpone(self, joins: list[JoinRequest]) -> None:
        for request in joins:
            self._post(partial(self._postpone_one, request))

    def _postpone_one(self, request: JoinRequest) -> None:
        self._subscriptions.postpone(request, monotonic())

    # --- pages ---------------------------------------------------------------------------------

    def _load(self, pages: list[PageRequest]) -> None:
        wanted = [i for _, ids in pages for i in ids]
        try:
            templates = self._load_rows(wanted)
        except _PASSING:
            raise
        except Exception:
            log.exception("A page could not be loaded, trying its rows one by one")
            templates = self._load_each(wanted)
        for client, ids in pages:
            rows = [(i, templates[i]) for i in ids if i in templates]
            self._post(partial(self._take_page, client, rows))

    def _load_rows(self, ids: list[int]) -> dict[int, DatagramTemplate]:
        with self._database.connection() as connection:
            return self._loader.load(connection, ids)

    def _load_each(self, ids: list[int]) -> dict[int, DatagramTemplate]:
        """Leaves out the rows that cannot be read; they stay unread, and hold up nobody."""
        templates: dict[int, DatagramTemplate] = {}
        for id in ids:
            try:
                templates |= self._load_rows([id])
            except _PASSING:
                raise
            except Exception as exc:
                log.error("A notification cannot be read id=%d reason=%r", id, exc)
        return templates

    def _take_page(self, client: Client, rows: list[tuple[int, DatagramTemplate]]) -> None:
        self._delivery.take_page(client, rows, monotonic())

    def _retry_pages(self, pages: list[PageRequest]) -> None:
        for client, ids in pages:
            self._post(partial(self._delivery.retry_page, client, ids))


def _take(items: deque[_T], most: int) -> list[_T]:
    return [items.popleft() for _ in range(min(most, len(items)))]
