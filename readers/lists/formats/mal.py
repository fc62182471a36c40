"""MyAnimeList's XML, and its relatives that Kitsu, Shikimori and several exporters write.

§ https://myanimelist.net/panel.php?go=export ("Version 1.1.0")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import escape

from readers.errors import UnreadableList
from readers.lists.entries import sites
from readers.lists.entries.entry import Entry, Ignored, make_entry
from readers.lists.entries.listed import ListedTitle
from readers.lists.formats.files import MOST_JSON_BYTES

_CHUNK = 2**16
_MOST_TEXT = 10_000  # of one element; titles are far shorter
_STATUSES = {"1": "reading", "2": "completed", "3": "on hold", "4": "dropped", "6": "plan to read"}
_WRITTEN = {
    "reading": "Reading",
    "completed": "Completed",
    "plan_to_read": "Plan to Read",
    "dropped": "Dropped",
}
# What some exporters write into XML though it does not belong there; CDATA stays as it is.
_UNESCAPED = re.compile(
    rb"(<!\[CDATA\[.*?\]\]>)|&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)", re.DOTALL
)
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    """Yield the manga of an export.

    Raises:
        UnreadableList: it is no XML, damaged, or has a document type.
    """
    try:
        found = list(_read(file))
    except expat.ExpatError as first:
        file.seek(0)
        content = file.read(MOST_JSON_BYTES + 1)
        if len(content) > MOST_JSON_BYTES:
            raise _damaged(first) from None
        try:
            found = list(_parse([_mended(content)]))
        except expat.ExpatError as exc:
            raise _damaged(exc) from None
    yield from found


def _read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    return _parse(iter(lambda: file.read(_CHUNK), b""))


def _parse(chunks: Iterable[bytes]) -> Iterator[Entry | Ignored]:
    reader = _Reader()
    for chunk in chunks:
        reader.parser.Parse(chunk)
        yield from reader.take()
    reader.parser.Parse(b"", True)
    yield from reader.take()


class _Reader:
    """Collects the texts of one `<manga>` after the other, whatever its depth."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = _refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._found: list[Entry | Ignored] = []
        self._texts: dict[str, str] | None = None
        self._name = ""
        self._is_first = True

    def take(self) -> list[Entry | Ignored]:
        found, self._found = self._found, []
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._is_first and name.lower() != "myanimelist":
            raise UnreadableList(f"the XML is no list of MyAnimeList: it begins with <{name[:40]}>")
        self._is_first = False
        if name == "manga":
            self._texts = {}
        if name == "anime":
            self._found.append(Ignored("anime"))
        self._name = name

    def _text(self, text: str) -> None:
        if self._texts is not None and len(self._texts.get(self._name, "")) < _MOST_TEXT:
            self._texts[self._name] = self._texts.get(self._name, "") + text

    def _end(self, name: str) -> None:
        self._name = ""
        if name == "manga" and self._texts is not None:
            self._found.append(_entry({k: v.strip() for k, v in self._texts.items()}))
            self._texts = None


def _refuse_doctype(*_: object) -> None:
    raise UnreadableList("the XML has a DOCTYPE, which no list has: it is not read")


def _entry(texts: dict[str, str]) -> Entry:
    def first(*names: str) -> str:
        return next((texts[name] for name in names if texts.get(name)), "")

    status = first("my_status")
    is_again = first("my_rereading").upper() in ("YES", "1")
    return make_entry(
        title=first("manga_title", "series_title"),
        status="reading" if is_again else _STATUSES.get(status, status),
        progress=first("my_read_chapters"),
        mangadex_id=sites.read_uuid(first("manga_mangadex_id")),
        ids={
            "mal": sites.read_id("mal", first("manga_mangadb_id", "series_mangadb_id")),
            "al": sites.read_id("al", first("manga_anilist_id")),
            "kt": sites.read_id("kt", first("manga_kitsu_id")),
            "mu": sites.read_id("mu", first("manga_mangaupdates_id")),
            "ap": sites.read_id("ap", first("manga_animeplanet_slug")),
        },
    )


def _mended(content: bytes) -> bytes:
    """Escape a lone `&`, and take out control characters."""
    content = _FORBIDDEN.sub(b"", content)
    return _UNESCAPED.sub(lambda match: match[1] or b"&amp;", content)


def _damaged(exc: expat.ExpatError) -> UnreadableList:
    reason = expat.ErrorString(exc.code)
    ends = ("no element found", "unclosed token", "unclosed CDATA section", "partial character")
    why = "it ends half-way" if reason in ends else f"{reason}, line {exc.lineno}"
    return UnreadableList(f"the XML is damaged: {why}")


# --- writing -------------------------------------------------------------------------------------


def write(titles: Iterable[ListedTitle]) -> bytes:
    """Return a file that MyAnimeList imports; the MangaDex id in it brings it back here."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<myanimelist>"]
    lines += ["<myinfo><user_export_type>2</user_export_type></myinfo>"]
    lines += [_written(title) for title in titles]
    return "\n".join([*lines, "</myanimelist>", ""]).encode()


def can_hold(title: ListedTitle) -> bool:
    return title.numeric_id("mal") is not None


def _written(title: ListedTitle) -> str:
    values = {
        "manga_mangadb_id": title.ids["mal"],
        "manga_title": title.title,
        "manga_mangadex_id": str(title.mangadex_id or ""),
        "manga_anilist_id": title.ids.get("al", ""),
        "my_read_chapters": str(title.progress) if title.status else "",
        "my_status": _WRITTEN[title.status] if title.status else "",
        "update_on_import": "1",
    }
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items() if value)
    return f"<manga>{inner}</manga>"
