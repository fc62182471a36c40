"""Which file at the source is a title's cover. Pure."""

from __future__ import annotations

import re

SIZES = (48, 96, 256)  # widths in pixels
# A file name of the source, behind the id of its title. What else stands in the column, as in a
# database of another program, is asked of nobody.
_COVER = re.compile(
    r".*/covers/(?P<title>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"/(?P<file>[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}\.(?:jpe?g|png|webp|gif))",
    re.ASCII | re.IGNORECASE,
)


def cover_path(cover_url: str | None) -> str | None:
    """Return the path of the cover in 512 pixels, below the source's address; None without one."""
    found = _COVER.fullmatch(cover_url or "")
    return f"/covers/{found['title'].lower()}/{found['file']}.512.jpg" if found else None
