"""Fetches covers that pages asked for, one after the other, behind everybody's budget.

A page never waits for it: it gets a placeholder, and the cover the next time.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import sql
from sql.budget import Budget, Pace
from website.covers.cache import Cover, CoverCache
from website.covers.decoder import NotAPicture, make_covers
from website.covers.download import Absent, Downloads, Limited, Unavailable
from website.rules.covers import SIZES

log = logging.getLogger(__name__)

MOST_WANTED = 500  # more are forgotten, the oldest first: a page that is looked at asks again
PER_SECOND = 1.0
_AGAIN_S = 60.0  # after the source or the database has failed
_LONGEST_PAUSE = timedelta(hours=1)  # a source with a wrong clock may ask for more


class Stopped(Exception):
    """The fetcher is to end."""


class CoverFetcher:
    """A thread with a connection of its own.

    Args:
        api_url, pace: the budget that everybody shares; a cover is a request like any other.
    """

    def __init__(
        self, database_url: str, cache: CoverCache, covers_url: str, api_url: str, pace: Pace
    ) -> None:
        self._database_url = database_url
        self._cache = cache
        self._connection: sql.Connection | None = None
        self._own = Budget(self._connect, f"{covers_url}/covers", Pace(PER_SECOND))
        self._shared = Budget(self._connect, api_url, pace)
        self._downloads = Downloads(covers_url, self)
        self._wanted: OrderedDict[Cover, None] = OrderedDict()
        self._lock = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="covers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._stopped.set()
        with self._lock:
            self._lock.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def want(self, cover: Cover) -> None:
        """Fetch a cover soon; what was wanted last comes first, as somebody looks at it now."""
        with self._lock:
            self._wanted[cover] = None
            self._wanted.move_to_end(cover)
            while len(self._wanted) > MOST_WANTED:
                self._wanted.popitem(last=False)
            self._lock.notify()

    @contextmanager
    def departure(self) -> Iterator[None]:
        """Hold a request back until both budgets allow it."""
        with self._own.departure(self._wait):
            pass
        with self._shared.departure(self._wait):
            yield

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                self._fetch(self._next())
        except Stopped:
            return
        finally:
            self._downloads.close()
            self._disconnect()

    def _next(self) -> Cover:
        with self._lock:
            while not self._wanted and not self._stopped.is_set():
                self._lock.wait()
            if self._stopped.is_set():
                raise Stopped
            return self._wanted.popitem()[0]

    def _fetch(self, cover: Cover) -> None:
        """Fetch a cover; whatever is wrong with one keeps no other from being fetched."""
        if self._cache.read(cover, SIZES[0]) or self._cache.is_absent(cover):
            return  # it was asked for again while it was fetched
        try:
            for budget in (self._own, self._shared):
                budget.await_pause_end(self._wait)
            self._cache.write(cover, make_covers(self._downloads.get(cover.path)))
            log.debug("Cover fetched manga_id=%d", cover.manga_id)
        except (Absent, NotAPicture) as exc:
            log.info("A cover cannot be shown manga_id=%d reason=%s", cover.manga_id, exc)
            self._note_absent(cover)
        except Limited as exc:
            log.warning("The source of covers limits us, all callers wait reason=%s", exc)
            self._pause(exc.span)
        except (Unavailable, sql.SqlError, OSError) as exc:
            log.warning("Covers cannot be fetched now reason=%s", exc)
            self._disconnect()
            self._wait(_AGAIN_S)
        except Stopped:
            raise
        except Exception:
            log.exception("Unexpected error, a cover is left out manga_id=%d", cover.manga_id)
            self._note_absent(cover)

    def _note_absent(self, cover: Cover) -> None:
        with suppress(OSError):
            self._cache.note_absent(cover)

    def _pause(self, span: timedelta) -> None:
        """Let nobody ask the source for so long, neither for covers nor for anything else."""
        with suppress(sql.SqlError):
            for budget in (self._own, self._shared):
                budget.pause(min(span, _LONGEST_PAUSE).total_seconds())

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Stopped

    def _connect(self) -> sql.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = sql.connect(self._database_url, "mangahub-web covers")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
