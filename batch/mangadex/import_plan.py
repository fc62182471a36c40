"""Which pages an initial sync asks for, and when it has seen everything. Pure.

A plan hands out requests and is told what each page held. Pages come back in any order; some are
known from an earlier run that was killed. Both plans work within the API's ceiling: offset + limit
of at most 10,000.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from batch.errors import SourceDown
from batch.mangadex.client import MAX_WINDOW, Order

PAGE = 100  # the most that /manga gives at once
MAX_REREADS = 3  # of a list that changes while it is read, or whose order does


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page to ask for.

    Attributes:
        since: only titles created from then on, None for all.
        reread: how often the same page was planned before.
    """

    order: Order
    since: datetime | None
    offset: int
    limit: int
    reread: int = 0

    @property
    def key(self) -> str:
        """Names the page in `sync_pages` and as the cursor."""
        since = f"{self.since:%Y-%m-%dT%H:%M:%S}" if self.since else "the beginning"
        again = f" reread {self.reread}" if self.reread else ""
        return f"{self.order[0]} since {since} offset {self.offset} limit {self.limit}{again}"


@dataclass(frozen=True, slots=True)
class PageOutcome:
    """What a stored page held.

    Attributes:
        ids: of its titles, also of those that were refused.
        total: what the source said there is from `since` on.
        last_created_at: of its last title; None for an empty page.
    """

    ids: tuple[str, ...]
    total: int
    last_created_at: datetime | None


class Plan(Protocol):
    """What the job needs to know of either plan."""

    def next(self) -> PageRequest | None:
        """The next page to ask for; None while that depends on pages that are under way."""

    def done(self, request: PageRequest, outcome: PageOutcome) -> None:
        """Takes in what a page held."""

    def expected(self) -> int:
        """How many titles there will be, as far as is known."""


class CountPlan:
    """The first `count` titles in an order; later pages make up for titles that came twice.

    A page that comes empty although the list goes on is asked for once more. Where titles came
    twice and the list ends too early, others were missed: equal titles change places between two
    pages. Then the list is read again.
    """

    def __init__(self, count: int, order_key: str) -> None:
        self._count = count
        self._order = (order_key, "desc")
        self._offset = 0
        self._under_way = 0
        self._total: int | None = None
        self._empty: list[PageRequest] = []
        self._came_twice = False
        self._reread = 0
        self.seen: set[str] = set()

    def next(self) -> PageRequest | None:
        for empty in self._empty:
            if empty.offset < (self._total or 0):
                self._empty.remove(empty)
                self._under_way += empty.limit
                return replace(empty, reread=1)
        if self._is_read_out() and self._has_missed():
            self._begin_again()
        limit = min(PAGE, self._missing(), MAX_WINDOW - self._offset)
        if limit <= 0 or self._is_read_out() or (self._reread and not self._is_short()):
            return None
        request = PageRequest(self._order, None, self._offset, limit, self._reread)
        self._offset += limit
        self._under_way += limit
        return request

    def done(self, request: PageRequest, outcome: PageOutcome) -> None:
        self._under_way -= request.limit
        # The highest one told: an answer that lacks it must not end the plan.
        self._total = max(self._total or 0, outcome.total)
        self._came_twice |= not self.seen.isdisjoint(outcome.ids)
        self.seen.update(outcome.ids)
        if not outcome.ids and not request.reread:
            self._empty.append(request)

    def expected(self) -> int:
        return self._count if self._total is None else min(self._count, self._total)

    def _missing(self) -> int:
        """Titles that no page asked for so far is going to bring."""
        return self._count - len(self.seen) - self._under_way

    def _is_read_out(self) -> bool:
        return self._total is not None and self._offset >= min(self._total, MAX_WINDOW)

    def _is_short(self) -> bool:
        return len(self.seen) < self.expected()

    def _has_missed(self) -> bool:
        may_reread = self._reread <= MAX_REREADS and not self._under_way
        return self._is_short() and self._came_twice and may_reread

    def _begin_again(self) -> None:
        self._offset = 0
        self._reread = max(1, self._reread) + 1  # the first one is that of empty pages


class _Window:
    """Up to 10,000 titles from one creation date on."""

    def __init__(self, since: datetime | None, before: _Window | None = None) -> None:
        """Begins a window, or reads the one that was read `before` once more."""
        self.since = since
        self.reread: int = before.reread + 1 if before else 0
        self.ids: set[str] = before.ids if before else set()
        self.came_twice: bool = before.came_twice if before else False
        self.total: int | None = None
        self.changed = False
        self.under_way = 0
        self.queue: deque[int] = deque([0])  # offsets
        self.latest: datetime | None = None  # creation date seen

    def learn(self, outcome: PageOutcome) -> None:
        """The first page's total tells how many there are; another one later, that they moved."""
        if self.total is None:
            offsets = range(PAGE, min(outcome.total, MAX_WINDOW), PAGE)
            # The last page first where there is more: the next window begins at its end.
            ordered = [*offsets[-1:], *offsets[:-1]] if outcome.total > MAX_WINDOW else offsets
            self.queue.extend(ordered)
        elif outcome.total != self.total:
            self.changed = True
        self.total = outcome.total
        # In a window that is read again every title comes again.
        self.came_twice |= not self.reread and not self.ids.isdisjoint(outcome.ids)
        self.ids.update(outcome.ids)
        dates = [date for date in (self.latest, outcome.last_created_at) if date]
        self.latest = max(dates, default=None)

    def goes_on(self) -> bool:
        """Whether there are titles behind its end."""
        return (self.total or 0) > MAX_WINDOW

    def has_missed(self) -> bool:
        """Whether titles were moved past the reader, by others or by a change of the order."""
        is_short = len(self.ids) < min(self.total or 0, MAX_WINDOW)
        return self.changed or (self.came_twice and is_short)


class AllPlan:
    """Every title, by creation date, in windows below the ceiling.

    A window begins a second before the last title of the one before: whether `createdAtSince`
    includes its moment is not documented. A title that vanishes or appears while a window is read
    moves those behind it over a page's edge, past the reader, and titles of one second may change
    places; such a window is read once more.
    """

    def __init__(self) -> None:
        self._windows = [_Window(None)]
        self._continued: set[datetime | None] = set()  # windows whose successor is planned
        self._catalogue: int | None = None

    def next(self) -> PageRequest | None:
        for window in self._windows:
            if window.queue:
                window.under_way += 1
                offset = window.queue.popleft()
                return PageRequest(("createdAt", "asc"), window.since, offset, PAGE, window.reread)
        return None

    def done(self, request: PageRequest, outcome: PageOutcome) -> None:
        window = self._window_of(request)
        window.under_way -= 1
        window.learn(outcome)
        if window.since is None:
            self._catalogue = outcome.total
        if request.offset == MAX_WINDOW - PAGE and outcome.last_created_at:
            self._open_next(window, outcome.last_created_at)
        if not window.queue and not window.under_way:
            self._close(window)

    def expected(self) -> int:
        return self._catalogue or 0

    def _window_of(self, request: PageRequest) -> _Window:
        same = (w for w in self._windows if (w.since, w.reread) == (request.since, request.reread))
        return next(same)

    def _open_next(self, window: _Window, last_created_at: datetime | None) -> None:
        if not window.goes_on() or window.since in self._continued:
            return
        if last_created_at is None:
            raise SourceDown(f"of {MAX_WINDOW:,} titles none has a creation date that can be read")
        since = last_created_at - timedelta(seconds=1)
        if window.since is not None and since <= window.since:
            raise SourceDown(f"more than {MAX_WINDOW:,} titles share the second {last_created_at}")
        self._continued.add(window.since)
        self._windows.append(_Window(since))

    def _close(self, window: _Window) -> None:
        self._windows.remove(window)
        # Its last page held nothing that could be read: whatever came before it has to do.
        self._open_next(window, window.latest)
        if window.has_missed() and window.reread < MAX_REREADS:
            self._windows.insert(0, _Window(window.since, window))
