"""From a file to entries: which format it has, and each title once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from readers.errors import UnreadableList
from readers.lists.entries.entry import Entry, Ignored, merge
from readers.lists.formats import anilist, csv, files, json, mal, mdlist, mihon, text

MOST_ENTRIES = 100_000  # more than the whole of MangaDex
_HEAD = 2**16

Items = Iterator[Entry | Ignored]
READERS: dict[str, Callable[[BinaryIO], Items]] = {
    "mihon": mihon.read,
    "mal": mal.read,
    "anilist": anilist.read,
    "mdlist": mdlist.read,
    "csv": csv.read,
    "json": json.read,
    "text": text.read,
}
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class ReadList:
    """What a file holds.

    Attributes:
        entries: one a title, in the file's order.
        ignored: how many items are no entries, by the reason.
    """

    format: str
    entries: list[Entry]
    ignored: Counter[str] = field(default_factory=Counter)


def read_list(file: IO[bytes], format: str = AUTO) -> ReadList:
    """Read a list, which may be packed by gzip; all of it is read, or nothing.

    Args:
        format: a key of `READERS`, or `auto`.

    Raises:
        UnreadableList: the file is no such list, is damaged, or too large.
    """
    with files.unpack(file) as content:
        name, items = _open(content, format)
        return collect(name, items)


def collect(format: str, items: Iterable[Entry | Ignored]) -> ReadList:
    """Return the items with each title once.

    Raises:
        UnreadableList: there are too many, or one cannot be read.
    """
    entries: dict[str, Entry] = {}
    ignored: Counter[str] = Counter()
    for count, item in enumerate(items, 1):
        if count > MOST_ENTRIES:
            raise UnreadableList(
                f"the list has more than {MOST_ENTRIES:,} entries, which is more than there are"
                " titles: import it in parts"
            )
        if isinstance(item, Ignored):
            ignored[item.why] += 1
        elif not item.key:
            ignored["entries without a title or id"] += 1
        else:
            known = entries.get(item.key)
            entries[item.key] = merge(known, item) if known else item
    return ReadList(format, list(entries.values()), ignored)


def _open(file: BinaryIO, format: str) -> tuple[str, Items]:
    if format != AUTO:
        return format, READERS[format](file)
    head = file.read(_HEAD)
    file.seek(0)
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")[:1]
    if not files.is_text(head):
        return "mihon", _read_backup(file, head)
    if start == b"<":
        return "mal", mal.read(file)
    if start in (b"{", b"["):
        return _open_json(files.read_json(file))
    first = head.decode(files.encoding_of(head), "replace").splitlines()[0]
    name = "csv" if csv.header_of(first) else "text"
    return name, READERS[name](file)


def _open_json(document: object) -> tuple[str, Items]:
    if anilist.is_like(document):
        return "anilist", anilist.read_document(document)
    if mdlist.is_like(document):
        return "mdlist", mdlist.read_document(document)
    return "json", json.read_document(document)


def _read_backup(file: BinaryIO, head: bytes) -> Items:
    """Read what is no text as a backup, the only format left."""
    if files.is_text(head, "cp1252"):
        raise UnreadableList("the text is not in UTF-8: save it as UTF-8")
    try:
        yield from mihon.read(file)
    except UnreadableList:
        if head.startswith(mihon.BEGINS):
            raise
        raise UnreadableList(
            "the file is no list that is known: neither a backup of Mihon, nor XML, JSON or text"
        ) from None
