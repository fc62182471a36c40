"""How far the poll for new titles has read, and where the next poll begins. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

OVERLAP = timedelta(hours=1)
OVERLAP_TITLES = 50  # half a page: the overlap alone never needs a second request
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class PollPosition:
    """How far the poll has read.

    Attributes:
        floor: nothing older is imported: the moment of the initial sync.
        cursor: createdAt of the newest title that was read.
        since: where the list begins.
        skipped: how many known titles at the beginning of the list need not be read again.
        listed: createdAt of the titles that were read.
    """

    floor: datetime | None
    cursor: datetime
    since: datetime
    skipped: int = 0
    listed: dict[UUID, datetime] = field(default_factory=dict)

    def add(self, moments: Mapping[UUID, datetime]) -> None:
        """Take in a page: createdAt by title."""
        self.listed |= moments
        self.cursor = max([self.cursor, *moments.values()])

    @property
    def next_since(self) -> datetime:
        """Where the next poll begins: an hour back, or less where titles come quickly."""
        recent = sorted(self.listed.values())[-OVERLAP_TITLES:]
        enough = recent[0] if len(recent) == OVERLAP_TITLES else self.since
        return max(self.cursor - OVERLAP, enough)

    @property
    def next_skipped(self) -> int:
        """How many titles of the next list are known; a date cannot tell those of one second."""
        since = self.next_since
        known = sum(moment >= since - SECOND for moment in self.listed.values())
        known += self.skipped if since == self.since else 0
        return known - OVERLAP_TITLES if known > 2 * OVERLAP_TITLES else 0
