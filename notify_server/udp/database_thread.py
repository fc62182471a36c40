"""All database work of the UDP side: marks, checks of subscriptions, pages of replays.

One thread, so that the order of its statements is known: ids that were handed over before a
subscription are marked before that subscription's unread rows are looked up.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import sql
from notify_server.store import marks
from notify_server.store.replay import TemplateLoader
from notify_server.udp.database_requests import Marks, PageRequest, Refusal, UnreadRequest
from notify_server.udp.mailbox import Mailbox
from notify_server.udp.subscription_check import SubscriptionCheck
from readers.datagram import DatagramTemplate
from sql.connections import Database

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_UNREAD_AT_ONCE = 64
_PAGES_AT_ONCE = 32
_MAX_MARKS = 1_000_000
_RETRY_S = 0.5


class DatabaseThread:
    """Takes requests, and puts the replies into the UDP thread's mailbox."""

    def __init__(self, database: Database, check: SubscriptionCheck, mailbox: Mailbox) -> None:
        self._database = database
        self._check = check
        self._mailbox = mailbox
        self._loader = TemplateLoader()
        self._changed = threading.Condition()
        self._marks = Marks([], [])
        self._unread: deque[UnreadRequest] = deque()
        self._pages: deque[PageRequest] = deque()
        self._is_stopping = False
        # A daemon, so that a database that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Return when everything handed over is marked, or the time is over."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def put(self, request: Marks | UnreadRequest | PageRequest) -> None:
        """Take a request; any thread may call it."""
        with self._changed:
            if isinstance(request, Marks):
                self._marks.acknowledged.extend(request.acknowledged)
                self._marks.read.extend(request.read)
            elif isinstance(request, UnreadRequest):
                self._unread.append(request)
            else:
                self._pages.append(request)
            self._changed.notify()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        is_marked = True
        while True:
            with self._changed:
                self._wait(is_marked)
                taken, self._marks = self._marks, Marks([], [])
                unread = _take(self._unread, _UNREAD_AT_ONCE)
                pages = _take(self._pages, _PAGES_AT_ONCE)
                is_stopping = self._is_stopping
            is_marked = self._mark(taken)
            self._answer(unread, self._check.answer, Refusal.AWAY)
            self._answer(pages, self._load, None)
            if is_stopping and not (is_marked and self._has_work()):
                return

    def _wait(self, is_marked: bool) -> None:
        """Wait for requests; after a failure pause, but still answer subscriptions."""
        if is_marked:
            self._changed.wait_for(lambda: self._is_stopping or self._has_work())
        else:
            self._changed.wait_for(
                lambda: self._is_stopping or self._unread or self._pages, _RETRY_S
            )

    def _has_work(self) -> bool:
        return bool(any(self._marks) or self._unread or self._pages)

    def _mark(self, taken: Marks) -> bool:
        """Return whether all was marked; the rest is kept."""
        acknowledged = marks.mark_all(self._database, marks.mark_acknowledged, taken.acknowledged)
        read = marks.mark_all(self._database, marks.mark_read, taken.read)
        with self._changed:
            self._marks = Marks(
                (acknowledged + self._marks.acknowledged)[-_MAX_MARKS:],
                (read + self._marks.read)[-_MAX_MARKS:],
            )
        return not (acknowledged or read)

    def _answer(
        self, requests: list[Any], ask: Callable[[list[Any]], list[Any]], refusal: object
    ) -> None:
        """Reply to each request; the failure of one must not end the thread."""
        try:
            answers = ask(requests) if requests else []
        except Exception as exc:
            if isinstance(exc, sql.SqlError):
                log.debug("The database query failed reason=%s", exc)
            else:
                log.exception("Unexpected error in a database query")
            answers = [refusal] * len(requests)
        for request, answer in zip(requests, answers, strict=True):
            self._mailbox.put(partial(request.reply, answer))

    def _load(self, pages: list[PageRequest]) -> list[list[tuple[int, DatagramTemplate]]]:
        ids = [id for page in pages for id in page.ids]
        templates = self._loader.load_readable(self._database, ids)
        return [[(id, templates[id]) for id in page.ids if id in templates] for page in pages]


def _take(items: deque[_T], most: int) -> list[_T]:
    return [items.popleft() for _ in range(min(most, len(items)))]
