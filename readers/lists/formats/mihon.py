"""Backups of Mihon, Tachiyomi and their forks: gzip around protocol buffers.

Their schema is in Kotlin classes; what is absent has its default, and `favorite` is true then.
§ https://github.com/mihonapp/mihon, data/backup/models
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import BinaryIO
from uuid import UUID

from readers.errors import UnreadableList
from readers.lists.entries import sites
from readers.lists.entries.entry import (
    MOST_PROGRESS,
    Entry,
    Ignored,
    make_entry,
    moment,
    rank,
)
from readers.lists.entries.listed import ListedTitle
from readers.lists.formats.protobuf import (
    as_float,
    as_text,
    read_fields,
    read_messages,
    write_field,
)

# Languages of the MangaDex extension, as it writes them.
_LANGUAGES = (
    "en af sq ar az eu be bn bg my ca zh-Hans zh-Hant cv hr cs da nl eo et fil fi fr ka de el "
    "he hi hu id jv ga it ja kk ko la lt ms mn ne no fa pl pt-BR pt ro ru sr sk sl es-419 es sv "
    "ta te th tr uk ur uz vi"
).split()
_MOST_SOURCE = 2**63 - 1
BEGINS = b"\x0a"  # a message with the number 1: the first title


def _source_id(language: str) -> int:
    """Return the id that apps derive of a source's name, language and version."""
    digest = hashlib.md5(f"mangadex/{language}/1".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") & _MOST_SOURCE


_SOURCE_EN = _source_id("en")
_SOURCES = {_source_id(language) for language in _LANGUAGES}
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_TITLE_URL = re.compile(rf"/(?:manga|title)/({_UUID})")
_OLD_URL = re.compile(r"/(?:manga|title)/(\d+)\b")
_CHAPTER_URL = re.compile(rf"/chapter/{_UUID}")

# Trackers by their number: the site's code, and the statuses by theirs.
_USUAL = {1: "reading", 2: "completed", 3: "reading", 4: "dropped", 5: "plan_to_read", 6: "reading"}
_MDLIST = {**_USUAL, 4: "plan_to_read", 5: "dropped"}
_MANGAUPDATES = {0: "reading", 1: "plan_to_read", 2: "completed", 3: "dropped", 4: "reading"}
_BANGUMI = {1: "plan_to_read", 2: "completed", 3: "reading", 4: "reading", 5: "dropped"}
_MDLIST_NUMBERS = (0, 60)  # Neko's, TachiyomiSY's
_TRACKERS: dict[int, tuple[str | None, dict[int, str]]] = {
    **dict.fromkeys(_MDLIST_NUMBERS, (None, _MDLIST)),
    1: ("mal", {**_USUAL, 6: "plan_to_read", 7: "reading"}),
    2: ("al", _USUAL),
    3: ("kt", _USUAL),
    4: (None, _USUAL),  # Shikimori
    5: (None, _BANGUMI),
    7: ("mu", _MANGAUPDATES),
    11: (None, _USUAL),  # MangaBaka
}
_WRITTEN_TRACKERS = {"al": 2, "mal": 1, "kt": 3, "mu": 7}


@dataclass(slots=True)
class _Manga:
    """What is read of a BackupManga."""

    source: int = 0
    url: str = ""
    title: str = ""
    author: str = ""
    thumbnail: str = ""
    added_ms: int = 0
    is_favourite: bool = True
    has_mangadex_chapters: bool = False
    progress: float = 0.0
    status: str | None = None
    mangadex_id: UUID | None = None
    ids: dict[str, str | None] = field(default_factory=dict)


def read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    """Yield the titles of a backup's library.

    Raises:
        UnreadableList: it is no backup, or damaged.
    """
    is_likely = file.read(1) == BEGINS
    file.seek(0)
    try:
        yield from _read(file)
    except UnreadableList:
        if is_likely:
            raise
        raise UnreadableList("the file is no backup of Mihon") from None


def _read(file: BinaryIO) -> Iterator[Entry | Ignored]:
    mangas: list[_Manga] = []
    mangadex = set(_SOURCES)
    for number, content in read_messages(file):
        if number == 1:
            mangas.append(_read_manga(content))
        elif number == 3:  # of Aniyomi: its fields resemble those of a manga
            yield Ignored("anime")
        elif number == 101:
            name, id = _read_source(content)
            if name == "MangaDex":
                mangadex.add(id)
    for manga in mangas:
        yield _entry(manga, mangadex) if manga.is_favourite else Ignored("not in the library there")


def _read_source(content: bytes) -> tuple[str, int]:
    fields = dict(read_fields(content))
    id = fields.get(2)
    return as_text(fields.get(1, b"")), id if isinstance(id, int) else 0


def _read_manga(content: bytes) -> _Manga:
    manga = _Manga()
    for number, value in read_fields(content):
        match number, value:
            case 1, int():
                manga.source = value
            case 2, _:
                manga.url = as_text(value)
            case 3, _:
                manga.title = as_text(value)
            case 5, _:
                manga.author = as_text(value)
            case 9, _:
                manga.thumbnail = as_text(value)
            case 13, int():
                manga.added_ms = value
            case 16, bytes():
                _read_chapter(manga, value)
            case 18, bytes():
                _read_tracking(manga, value)
            case 100, int():
                manga.is_favourite = bool(value)
    return manga


def _read_chapter(manga: _Manga, content: bytes) -> None:
    """Raise the progress to a chapter that was read; those without a number count for nothing."""
    is_read, number, url = False, 0.0, b""
    for field_number, value in read_fields(content):
        if field_number == 4:
            is_read = bool(value)
        elif field_number == 9:
            number = as_float(value)
        elif field_number == 1 and isinstance(value, bytes):
            url = value
    if is_read:
        _raise_progress(manga, number)
    if not manga.has_mangadex_chapters and url.startswith(b"/chapter/"):
        manga.has_mangadex_chapters = _CHAPTER_URL.match(as_text(url)) is not None


def _raise_progress(manga: _Manga, number: float) -> None:
    """Raise the progress to a number that a chapter may have."""
    if manga.progress < number <= MOST_PROGRESS:
        manga.progress = number


def _read_tracking(manga: _Manga, content: bytes) -> None:
    fields = dict(read_fields(content))
    tracker = fields.get(1, 0)
    if not isinstance(tracker, int) or tracker not in _TRACKERS:
        return
    site, statuses = _TRACKERS[tracker]
    if tracker in _MDLIST_NUMBERS:
        manga.mangadex_id, _ = sites.read_mangadex(as_text(fields.get(4, b"")))
    elif site is not None:
        manga.ids[site] = sites.read_id(site, fields.get(3) or fields.get(100))
    _raise_progress(manga, as_float(fields.get(6, 0)))
    code = fields.get(9, 0)
    status = statuses.get(code) if isinstance(code, int) else None
    manga.status = max(manga.status, status, key=rank)


def _entry(manga: _Manga, mangadex: set[int]) -> Entry:
    is_here = manga.source in mangadex
    found = _TITLE_URL.match(manga.url)
    if found and (is_here or manga.has_mangadex_chapters or "mangadex.org" in manga.thumbnail):
        manga.mangadex_id = sites.read_uuid(found[1])
    old = _OLD_URL.match(manga.url) if is_here and not found else None
    number = Decimal(str(manga.progress)) if 0 < manga.progress else None
    return make_entry(
        title=manga.title,
        author=manga.author,
        status=manga.status,
        progress=number,
        mangadex_id=manga.mangadex_id,
        legacy_id=sites.read_legacy(old[1]) if old else None,
        ids=manga.ids,
        listed_at=moment(manga.added_ms / 1000),
    )


# --- writing -------------------------------------------------------------------------------------


def write(titles: Iterable[ListedTitle]) -> bytes:
    """Return a backup that apps restore: titles of MangaDex, chapters read, trackers.

    MDList as a tracker carries status and progress also where no other site has the title.
    """
    backup = io.BytesIO()
    with gzip.GzipFile(fileobj=backup, mode="wb", mtime=0) as packed:
        for title in titles:
            packed.write(write_field(1, _written(title)))
        source = write_field(1, "MangaDex") + write_field(2, _SOURCE_EN)
        packed.write(write_field(101, source))
    return backup.getvalue()


def can_hold(title: ListedTitle) -> bool:
    return title.mangadex_id is not None


def _written(title: ListedTitle) -> bytes:
    fields: list[tuple[int, int | str | bytes]] = [
        (1, _SOURCE_EN),
        (2, f"/manga/{title.mangadex_id}"),
        (3, title.title),
        (5, title.author),
    ]
    if title.added_at is not None:
        fields.append((13, int(title.added_at.timestamp() * 1000)))
    fields += [(16, _written_chapter(id, number)) for id, number in title.chapters]
    if title.status is not None:
        url = f"https://mangadex.org/title/{title.mangadex_id}"
        fields.append((18, _tracking(title, _MDLIST_NUMBERS[1], 0, url, _MDLIST)))
        for site, tracker in _WRITTEN_TRACKERS.items():
            id = title.numeric_id(site)
            if id is not None:
                fields.append((18, _tracking(title, tracker, id, "", _TRACKERS[tracker][1])))
    return b"".join(write_field(number, value) for number, value in fields)


def _written_chapter(id: UUID, number: Decimal) -> bytes:
    url, name = f"/chapter/{id}", f"Ch.{number.normalize():f}"
    fields: list[tuple[int, int | float | str]] = [(1, url), (2, name), (4, 1), (9, float(number))]
    return b"".join(write_field(*each) for each in fields)


def _tracking(
    title: ListedTitle, tracker: int, id: int, url: str, statuses: dict[int, str]
) -> bytes:
    code = next(code for code, status in statuses.items() if status == title.status)
    fields: list[tuple[int, int | float | str]] = [
        (1, tracker),
        (4, url),
        (5, title.title),
        (6, float(title.progress)),
        (9, code),
        (100, id),
    ]
    return b"".join(write_field(*each) for each in fields)
