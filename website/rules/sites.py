"""Addresses elsewhere: where a chapter is read, and whose work it is. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

MANGADEX = "https://mangadex.org"
_NAMES = {
    "mangadex.org": "MangaDex",
    "mangaplus.shueisha.co.jp": "MANGA Plus",
    "viz.com": "VIZ",
    "comikey.com": "Comikey",
}


class Place(NamedTuple):
    """An address, and what its site is called."""

    url: str
    site: str


def title_place(mangadex_id: UUID | None) -> Place | None:
    """Return where a title is at the source."""
    return Place(f"{MANGADEX}/title/{mangadex_id}", "MangaDex") if mangadex_id else None


def group_url(group_id: UUID) -> str:
    return f"{MANGADEX}/group/{group_id}"


def chapter_place(external_url: str | None, mangadex_id: UUID | None) -> Place | None:
    """Return where a chapter is read: at its publisher if that is a web address, else MangaDex."""
    host = web_host(external_url or "")
    if external_url and host:
        return Place(external_url, _NAMES.get(host, host))
    return Place(f"{MANGADEX}/chapter/{mangadex_id}", "MangaDex") if mangadex_id else None


def web_host(url: str) -> str:
    """Return the host of an http or https address, empty for what is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    is_web = parts.scheme in ("http", "https") and url.isprintable() and " " not in url
    return host.removeprefix("www.") if is_web else ""
