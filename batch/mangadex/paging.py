"""Reading lists that move: entries come, go and change places between two requests.

The API pages by offset, up to a ceiling. An entry that appears or vanishes moves those behind it
across a page boundary, past the reader; if entries with equal sort keys change places, one comes
twice and another never.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from batch.errors import SourceDown
from batch.mangadex import extract
from batch.models import Page

PAGE = 100  # the most entries that /manga and /chapter give at once
FEED_PAGE = 500  # the same of /manga/{id}/feed
MAX_WINDOW = 10_000  # offset + limit, on every list
MAX_REREADS = 3  # of a list that moves

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Window:
    """What was seen of a list up to the ceiling.

    Attributes:
        start: the offset of the first page; the entries before it are known.
        end: up to which offset pages were read in turn.
        total: how many entries the list has, by the last page; None before the first one.
        ids: of the entries on all pages.
        came_twice: whether an entry was on two pages.
        has_shrunk, has_grown: whether the total has changed.
        rereads: how often the list was begun again.
    """

    start: int = 0
    end: int = 0
    total: int | None = None
    ids: set[str] = field(default_factory=set)
    came_twice: bool = False
    has_shrunk: bool = False
    has_grown: bool = False
    rereads: int = 0

    def add(self, ids: Sequence[str], total: int) -> None:
        """Record a page."""
        if self.total is not None:
            self.has_shrunk |= total < self.total
            self.has_grown |= total > self.total
        self.total = total
        # When a list is read again, every entry comes again.
        self.came_twice |= not self.rereads and not self.ids.isdisjoint(ids)
        self.ids.update(ids)

    @property
    def is_whole(self) -> bool:
        """Whether pages were read in turn to the end of the list."""
        return self.end >= (self.total or 0)

    @property
    def is_short(self) -> bool:
        """Whether fewer entries were seen than exist below the ceiling."""
        return self.start + len(self.ids) < min(self.total or 0, MAX_WINDOW)

    @property
    def has_missed(self) -> bool:
        """Whether entries may have moved past a reader that reads pages in turn."""
        return self.has_shrunk or (self.came_twice and self.is_short)

    def begin_again(self) -> None:
        """Keep what was seen, and read the list once more."""
        self.rereads += 1
        self.total, self.has_shrunk, self.has_grown = None, False, False


def read(
    window: Window, ask: Callable[[int], Page], size: int, what: str = "list"
) -> Iterator[Page]:
    """Yield the pages of a list in turn, up to the ceiling.

    Args:
        window: filled while the pages are read; the caller may stop at any page.
        ask: returns the page of `size` entries at an offset.
        what: names the list in errors.

    Raises:
        SourceDown: a page is empty before the end of the list.
    """
    for offset in range(window.start, MAX_WINDOW - size + 1, size):
        page = ask(offset)
        expected = max(page.total, window.total or 0)
        if not page.entities and offset < expected:
            raise SourceDown(f"the {what} ends at {offset:,} of {expected:,}")
        window.end = max(window.end, offset + size)
        window.add(extract.ids(page.entities), page.total)
        yield page
        if offset + size >= page.total:
            return


def read_again(
    window: Window, ask: Callable[[int], Page], size: int, what: str = "list"
) -> Iterator[Page]:
    """Yield pages as `read` does, and again, up to MAX_REREADS times, while entries were missed.

    Reading again ends early when every entry was seen, unless the list has shrunk.
    """
    yield from read(window, ask, size, what)
    while window.has_missed and window.rereads < MAX_REREADS:
        has_shrunk = window.has_shrunk
        window.begin_again()
        for page in read(window, ask, size, what):
            yield page
            if not has_shrunk and not window.is_short:
                return
    if window.has_missed:
        log.warning("The %s changed during every reading; the next run reads it again", what)
