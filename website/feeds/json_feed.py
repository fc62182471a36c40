"""JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/). Pure."""

from __future__ import annotations

import json

from website.feeds.entries import Entry, Feed, names
from website.rules.texts import plain

MIME_TYPE = "application/feed+json"


def write_json(feed: Feed) -> bytes:
    return json.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": plain(feed.title),
            "home_page_url": feed.page,
            "feed_url": feed.url,
            "items": [_item(entry) for entry in feed.entries],
        }
    ).encode()


def _item(entry: Entry) -> dict[str, object]:
    at = entry.at.isoformat(timespec="seconds").replace("+00:00", "Z")
    item: dict[str, object] = {
        "id": entry.id,
        "url": entry.url,
        "title": plain(entry.title),
        "content_text": plain(entry.text),
        "date_published": at,
        "date_modified": at,
    }
    if authors := names(entry):
        item["authors"] = [{"name": name} for name in authors]
    if entry.language:
        item["language"] = entry.language
    if entry.tags:
        item["tags"] = [plain(tag) for tag in entry.tags]
    return item
