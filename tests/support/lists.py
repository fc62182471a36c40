"""Writes lists as other programs do, with their oddities; nothing of the product is used.

A backup's fields are written by number, as `(number, value)`; what an app omits is omitted.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable

MANGADEX_EN = 2499283573021220255
MANGADEX_VI = 9194073792736219759

Value = int | float | str | bytes
Fields = Iterable[tuple[int, Value]]


def message(*fields: tuple[int, Value]) -> bytes:
    """Return a message of protocol buffers."""
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value % 2**64)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = b""
    while value > 127:
        written += bytes([value & 127 | 128])
        value >>= 7
    return written + bytes([value])


def manga(url: str, title: str = "", *more: tuple[int, Value], source: int = MANGADEX_EN) -> bytes:
    """Return a BackupManga; `favorite` is absent, as in every real one."""
    return message((1, source), (2, url), (3, title), *more)


def chapter(number: float | None, *more: tuple[int, Value], is_read: bool = True) -> bytes:
    """Return a BackupChapter; no number is none written."""
    fields: list[tuple[int, Value]] = [(1, "/chapter/1"), (2, "Ch."), *more]
    if is_read:
        fields.append((4, 1))
    if number is not None:
        fields.append((9, float(number)))
    return message(*fields)


def tracking(tracker: int, *more: tuple[int, Value]) -> bytes:
    return message((1, tracker), *more)


def backup(*mangas: bytes, sources: Fields = ((MANGADEX_EN, "MangaDex"),)) -> bytes:
    """Return a backup as an app writes it, packed."""
    fields: list[tuple[int, Value]] = [(1, each) for each in mangas]
    fields += [(101, message((1, str(name)), (2, id))) for id, name in sources]
    return gzip.compress(message(*fields), mtime=0)


def mal(*entries: str, kind: int = 2) -> bytes:
    """Return an export of MyAnimeList with these `<manga>` or `<anime>` contents."""
    element = "manga" if kind == 2 else "anime"
    body = "".join(f"<{element}>{entry}</{element}>\n" for entry in entries)
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<!-- Created by XML Export -->\n<myanimelist>\n'
        f"<myinfo><user_id>1</user_id><user_export_type>{kind}</user_export_type></myinfo>\n"
        f"{body}</myanimelist>\n"
    ).encode()
