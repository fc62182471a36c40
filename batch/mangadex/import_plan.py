"""Which pages an initial sync requests, and when it has seen everything. Pure.

A plan returns requests and records what each page held. Pages arrive in any order; some are known
from an earlier run that was killed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from batch.errors import SourceDown
from batch.mangadex import paging
from batch.mangadex.paging import Window
from batch.models import ImportedPage, ImportRequest


class Plan(Protocol):
    """What the job needs of a plan."""

    def next(self) -> ImportRequest | None:
        """Return the next page to request; None while that depends on pages in flight."""

    def done(self, request: ImportRequest, outcome: ImportedPage) -> None:
        """Record what a page held."""

    def expected(self) -> int:
        """Return how many titles are expected, as far as is known."""


class CountPlan:
    """The first `count` titles in an order; later pages make up for titles that came twice.

    A page that is empty although the list continues is requested once more. If titles came twice
    and the list ends too early, others were missed, and the list is read again.
    """

    def __init__(self, count: int, order_key: str) -> None:
        self._count = count
        self._order = (order_key, "desc")
        self._window = Window()
        self._offset = 0
        self._under_way = 0  # titles
        self._empty: list[ImportRequest] = []

    @property
    def seen(self) -> set[str]:
        return self._window.ids

    def next(self) -> ImportRequest | None:
        for empty in self._empty:
            if empty.offset < (self._window.total or 0):
                self._empty.remove(empty)
                self._under_way += empty.limit
                return replace(empty, reread=1)
        if self._is_read_out() and self._has_missed():
            self._window.rereads += 1
            self._offset = 0
        rereads = self._window.rereads
        # Titles that no page requested so far will bring.
        missing = self._count - len(self.seen) - self._under_way
        limit = min(paging.PAGE, missing, paging.MAX_WINDOW - self._offset)
        if limit <= 0 or self._is_read_out() or (rereads and not self._is_short()):
            return None
        # Reread 1 is for empty pages.
        reread = rereads + 1 if rereads else 0
        request = ImportRequest(self._order, None, self._offset, limit, reread)
        self._offset += limit
        self._under_way += limit
        return request

    def done(self, request: ImportRequest, outcome: ImportedPage) -> None:
        self._under_way -= request.limit
        # The highest total: an answer with a lower one must not end the plan.
        self._window.add(outcome.ids, max(self._window.total or 0, outcome.total))
        if not outcome.ids and not request.reread:
            self._empty.append(request)

    def expected(self) -> int:
        total = self._window.total
        return self._count if total is None else min(self._count, total)

    def _is_read_out(self) -> bool:
        total = self._window.total
        return total is not None and self._offset >= min(total, paging.MAX_WINDOW)

    def _is_short(self) -> bool:
        return len(self.seen) < self.expected()

    def _has_missed(self) -> bool:
        may_reread = self._window.rereads < paging.MAX_REREADS and not self._under_way
        return may_reread and self._window.came_twice and self._is_short()


class _DatedWindow(Window):
    """Up to MAX_WINDOW titles from one creation date on."""

    def __init__(self, since: datetime | None) -> None:
        super().__init__()
        self.since = since
        self.under_way = 0  # pages
        self.queue: deque[int] = deque([0])  # offsets
        self.latest: datetime | None = None  # creation date seen

    def learn(self, outcome: ImportedPage) -> None:
        """Record a page; the first one says how many others there are."""
        if self.total is None:
            offsets = range(paging.PAGE, min(outcome.total, paging.MAX_WINDOW), paging.PAGE)
            # Of a longer list the last page first: the next window begins at its end.
            goes_on = outcome.total > paging.MAX_WINDOW
            self.queue.extend([*offsets[-1:], *offsets[:-1]] if goes_on else offsets)
        self.add(outcome.ids, outcome.total)
        dates = [date for date in (self.latest, outcome.last_created_at) if date]
        self.latest = max(dates, default=None)

    @property
    def has_missed(self) -> bool:
        """Pages are read in any order: a title that appears moves others past the reader too."""
        return self.has_grown or super().has_missed

    def begin_again(self) -> None:
        super().begin_again()
        self.queue.append(0)
        self.latest = None


class AllPlan:
    """Every title, by creation date, in windows below the ceiling.

    A window begins a second before the last title of the one before: whether `createdAtSince`
    includes its moment is not documented. A window in which titles were missed is read again.
    """

    def __init__(self) -> None:
        self._windows = [_DatedWindow(None)]
        self._continued: set[datetime | None] = set()  # windows whose successor is planned
        self._catalogue: int | None = None

    def next(self) -> ImportRequest | None:
        for window in self._windows:
            if window.queue:
                window.under_way += 1
                offset = window.queue.popleft()
                order = ("createdAt", "asc")
                return ImportRequest(order, window.since, offset, paging.PAGE, window.rereads)
        return None

    def done(self, request: ImportRequest, outcome: ImportedPage) -> None:
        window = next(each for each in self._windows if each.since == request.since)
        window.under_way -= 1
        window.learn(outcome)
        if window.since is None:
            self._catalogue = outcome.total
        if request.offset == paging.MAX_WINDOW - paging.PAGE and outcome.last_created_at:
            self._open_next(window, outcome.last_created_at)
        if not window.queue and not window.under_way:
            self._close(window)

    def expected(self) -> int:
        return self._catalogue or 0

    def _open_next(self, window: _DatedWindow, last_created_at: datetime | None) -> None:
        if (window.total or 0) <= paging.MAX_WINDOW or window.since in self._continued:
            return
        most = f"{paging.MAX_WINDOW:,} titles"
        if last_created_at is None:
            raise SourceDown(f"none of {most} has a readable creation date")
        since = last_created_at - timedelta(seconds=1)
        if window.since is not None and since <= window.since:
            raise SourceDown(f"more than {most} share the second {last_created_at}")
        self._continued.add(window.since)
        self._windows.append(_DatedWindow(since))

    def _close(self, window: _DatedWindow) -> None:
        # Used where nothing on the last page could be read: the latest title before it.
        self._open_next(window, window.latest)
        if window.has_missed and window.rereads < paging.MAX_REREADS:
            window.begin_again()
        else:
            self._windows.remove(window)
