"""CSV with a header: `title,mangadex_id,status,progress`, and ids of other sites."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from readers.errors import UnreadableList
from readers.lists.entries import sites
from readers.lists.entries.entry import Entry, Ignored
from readers.lists.entries.listed import ListedTitle
from readers.lists.formats import columns
from readers.lists.formats.files import open_text

_DELIMITERS = (",", ";", "\t", "|")
_MOST_FIELDS = 200
# A cell that a spreadsheet would compute gets a quote before it, which is taken off again.
_COMPUTED = re.compile(r"'*[=+\-@\t\r]")
_QUOTED = re.compile(r"'+[=+\-@\t\r]")


def read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    """Yield the rows of a file.

    Raises:
        UnreadableList: it is no text, has no header, or a row that cannot be read.
    """
    text = open_text(file)
    try:
        yield from _read(text)
    except UnicodeError:
        raise UnreadableList("the text is not in UTF-8: save it as CSV UTF-8") from None
    except csv.Error as exc:
        raise UnreadableList(f"the CSV is damaged: {exc}") from None


def _read(text: io.TextIOBase) -> Iterator[Entry | Ignored]:
    first = text.readline(100_000).removeprefix("\ufeff")
    if re.fullmatch(r"sep=.\s*", first):  # written for one spreadsheet program
        first = text.readline(100_000)
    found = header_of(first)
    if found is None:
        raise UnreadableList(
            "the CSV has no header: its first line must name columns, such as"
            " title,mangadex_id,status,progress"
        )
    delimiter, names = found
    for row in csv.reader(text, delimiter=delimiter, strict=True):
        if any(cell.strip() for cell in row):
            values = dict(zip(names, map(_plain, row[:_MOST_FIELDS]), strict=False))
            values.pop(None, None)
            known = {name: value for name, value in values.items() if name is not None}
            yield columns.entry_of(known) or Ignored("rows without a title or id")


def header_of(line: str) -> tuple[str, list[str | None]] | None:
    """Return delimiter and meanings of the columns that a first line names; None if it is none."""
    line = line.removeprefix("\ufeff")
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        names = [columns.column_of(cell) for cell in cells]
        if set(names) & columns.IDENTIFYING and (len(cells) > 1 or names != [None]):
            return delimiter, names
    return None


def _plain(cell: str) -> str:
    return cell[1:] if _QUOTED.match(cell) else cell


# --- writing -------------------------------------------------------------------------------------


def write(titles: Iterable[ListedTitle]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*columns.WRITTEN, *sites.CODES])
    for title in titles:
        cells = [
            title.title,
            str(title.mangadex_id or ""),
            title.status or "",
            str(title.progress) if title.status or title.progress else "",
            title.author,
            *(title.ids.get(site, "") for site in sites.CODES),
        ]
        writer.writerow([f"'{cell}" if _COMPUTED.match(cell) else cell for cell in cells])
    return text.getvalue().encode()


def can_hold(title: ListedTitle) -> bool:
    return True
