"""Plain text: an id, an address or a title a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from readers.errors import UnreadableList
from readers.lists.entries import sites
from readers.lists.entries.entry import Entry, Ignored, make_entry
from readers.lists.formats.files import open_text

_LONGEST_LINE = 4_000


def read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    """Yield the lines that are not blank.

    Raises:
        UnreadableList: it is no text.
    """
    text = open_text(file)
    try:
        while line := text.readline(_LONGEST_LINE):
            if line.strip("\ufeff \t\r\n"):
                yield read_line(line) or Ignored("addresses of other sites")
    except UnicodeError:
        raise UnreadableList("the text is not in UTF-8: save it as UTF-8") from None


def read_line(line: str) -> Entry | None:
    """Return what a line names; None for an address that is of no title."""
    text = line.strip("\ufeff \t\r\n")
    mangadex_id, legacy_id = sites.read_mangadex(text)
    if mangadex_id or legacy_id:
        return make_entry(mangadex_id=mangadex_id, legacy_id=legacy_id)
    if found := sites.read_address(text):
        return make_entry(ids=dict([found]))
    if text.lower().startswith(("http://", "https://")):
        return None
    entry = make_entry(title=text)
    return entry if entry.key else None
