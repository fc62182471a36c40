"""Where a list goes on: the place of its last row, as text that stands in an address. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)


class Cursor(NamedTuple):
    """The place of a row in a list that is ordered by time and id, newest first."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // _MICROSECOND}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that `str` has made.

        Raises:
            ValueError: the text is none.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("this is no place in a list")
        try:
            return cls(_EPOCH + int(match[1]) * _MICROSECOND, int(match[2]))
        except OverflowError:
            raise ValueError("this is no place in a list") from None
