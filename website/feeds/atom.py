"""Atom 1.0 (RFC 4287). Pure."""

from __future__ import annotations

from typing import Any

import feedgenerator

from website.feeds.entries import Feed, names
from website.rules.texts import plain

MIME_TYPE = "application/atom+xml"
_NAMELESS = "MangaHub"


def write_atom(feed: Feed) -> bytes:
    """Return the feed as XML in UTF-8."""
    made: Any = _Atom(
        title=plain(feed.title),
        link=feed.page,
        description="",
        feed_url=feed.url,
        feed_guid=feed.id,
        author_name=_NAMELESS,
    )
    made.updated_at = feed.updated_at
    for entry in feed.entries:
        made.add_item(
            title=plain(entry.title) or _NAMELESS,
            link=entry.url,
            description=plain(entry.text),
            unique_id=entry.id,
            pubdate=entry.at,
            updateddate=entry.at,
            author_name=", ".join(names(entry)) or None,
            categories=[plain(tag) for tag in entry.tags],
        )
    return bytes(made.writeString("utf-8").encode())


class _Atom(feedgenerator.Atom1Feed):  # type: ignore[misc]
    """A feed that says when its content changed last, not when it was written."""

    def latest_post_date(self) -> Any:
        return self.updated_at
