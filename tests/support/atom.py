"""What RFC 4287 demands of a feed, read by a strict parser."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime

ATOM = "{http://www.w3.org/2005/Atom}"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def checked(document: bytes) -> ET.Element:
    """Return the feed's root; fail where it breaks a MUST of the standard."""
    assert document.startswith(b"<?xml")
    feed = ET.fromstring(document)
    assert feed.tag == f"{ATOM}feed"
    has_author = _check_common(feed)
    selves = [link for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]
    assert len(selves) == 1
    ids = [entry.findtext(f"{ATOM}id") for entry in feed.findall(f"{ATOM}entry")]
    assert len(ids) == len(set(ids))
    for entry in feed.findall(f"{ATOM}entry"):
        assert _check_common(entry) or has_author
        links = [link for link in entry.findall(f"{ATOM}link") if link.get("rel") == "alternate"]
        assert links and len({(each.get("type"), each.get("hreflang")) for each in links}) == len(
            links
        )
    return feed


def _check_common(element: ET.Element) -> bool:
    """Check what feeds and entries have exactly once; return whether there is an author."""
    for name in ("id", "title", "updated"):
        found = element.findall(ATOM + name)
        assert len(found) == 1 and found[0].text, name
    assert re.match(r"[a-z][a-z0-9+.-]*:", element.findtext(f"{ATOM}id") or "")
    for name in ("updated", "published"):
        if text := element.findtext(ATOM + name):
            assert _RFC_3339.fullmatch(text) and datetime.fromisoformat(text.replace("Z", "+00:00"))
    for link in element.findall(f"{ATOM}link"):
        assert link.get("href")
    authors = element.findall(f"{ATOM}author")
    assert all(author.findtext(f"{ATOM}name") for author in authors)
    return bool(authors)
