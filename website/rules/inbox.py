"""What the inbox says of a notification, and where its pages begin and end. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Self

from readers.datagram import Content
from website.rules.sites import Place, chapter_place

_CURSOR = re.compile(r"([ur])(\d{1,18})", re.ASCII)
_MOST_IDS = 100


class InboxCursor(NamedTuple):
    """The last notification of a page: unread ones come first, newer ones before older ones."""

    is_read: bool
    id: int

    def __str__(self) -> str:
        return f"{'r' if self.is_read else 'u'}{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that `str` has made.

        Raises:
            ValueError: the text is none.
        """
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise ValueError("this is no place in the inbox")
        return cls(match[1] == "r", int(match[2]))


def parse_ids(texts: Sequence[str]) -> list[int]:
    """Return ids from fields, each of which may have several between dots.

    Raises:
        ValueError: one is no id, or there are too many.
    """
    ids = [part for text in texts for part in text.split(".") if part]
    if len(ids) > _MOST_IDS or not all(re.fullmatch(r"\d{1,18}", id, re.ASCII) for id in ids):
        raise ValueError(f"ids are at most {_MOST_IDS} numbers")
    return list(map(int, ids))


def place_of(content: Content) -> Place | None:
    """Return where a notification's chapter is read, if it says so."""
    url = content.data.get("url")
    return chapter_place(url, None) if isinstance(url, str) else None


def facts_of(content: Content) -> list[str]:
    """Return language and groups, as far as the notification has them."""
    language, groups = content.data.get("language"), content.data.get("groups")
    names = [name for name in groups if isinstance(name, str)] if isinstance(groups, list) else []
    facts = [language] if isinstance(language, str) else []
    return [*facts, f"by {', '.join(names)}"] if names else facts
