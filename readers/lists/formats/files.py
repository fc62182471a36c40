"""A reader's file before its format is known: unpacked, of bounded size, and no picture."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import tempfile
import zlib
from typing import IO, Any, BinaryIO, cast

from readers.errors import UnreadableList

MOST_BYTES = 128 * 2**20  # unpacked; the largest backups that are known have some 20 MB
MOST_JSON_BYTES = 32 * 2**20  # takes ten times as much memory
_IN_MEMORY = 16 * 2**20
_CHUNK = 2**16
_SAMPLE = 64
_GZIP = b"\x1f\x8b"

# What people choose by mistake, by its first bytes.
_OTHERS = {
    b"PK\x03\x04": "a ZIP archive: unpack it, and import the file inside",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"GIF8": "a GIF picture",
    b"RIFF": "a picture or a sound",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "a database: make a backup in the app, and import that",
    b"7z\xbc\xaf": "a 7z archive: unpack it, and import the file inside",
    b"Rar!": "a RAR archive: unpack it, and import the file inside",
    b"BZh": "packed by bzip2: unpack it first",
    b"\xfd7zXZ": "packed by xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "packed by zstd: unpack it first",
    b"\x7fELF": "a program",
}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def unpack(file: IO[bytes]) -> BinaryIO:
    """Return the file's content, unpacked if it was packed by gzip, to be read from its start.

    Raises:
        UnreadableList: it is empty, too large, damaged, or of a kind that holds no list.
    """
    head = file.read(_CHUNK)
    while len(head) < len(_GZIP) and (more := file.read(_CHUNK)):
        head += more
    _refuse_others(head)
    whole = _Chained(head, file)
    content = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))
    try:
        _copy(gzip.GzipFile(fileobj=whole) if head.startswith(_GZIP) else whole, content)
        _check_content(content)
    except BaseException:
        content.close()
        raise
    return content


class _Chained(io.RawIOBase):
    """What was read of a file, followed by the rest: a pipe cannot be read again."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = io.BytesIO(head), rest

    def read(self, size: int = -1, /) -> bytes:
        return self._head.read(size) or self._rest.read(size)

    def readable(self) -> bool:
        return True


def _copy(whole: _Chained | gzip.GzipFile, content: BinaryIO) -> None:
    try:
        while chunk := whole.read(_CHUNK):
            content.write(chunk)
            if content.tell() > MOST_BYTES:
                raise UnreadableList(
                    f"the list is too large: more than {MOST_BYTES >> 20} MiB when unpacked"
                )
    except EOFError:
        raise UnreadableList("the file ends half-way: download or copy it again") from None
    except (gzip.BadGzipFile, zlib.error) as exc:
        raise UnreadableList(f"the file is damaged: {exc}") from None
    except OSError as exc:
        raise UnreadableList(f"the file cannot be read: {exc.strerror or exc}") from None


def _check_content(content: BinaryIO) -> None:
    content.seek(0)
    head = content.read(_CHUNK)
    content.seek(0)
    if not head.strip():
        raise UnreadableList("the file is empty")
    _refuse_others(head)
    if head.startswith(_GZIP):
        raise UnreadableList("the file is packed twice: unpack it once")


def _refuse_others(head: bytes) -> None:
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise UnreadableList(f"the file is no list: it is {what}")


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text by its first bytes; UTF-16 may lack its mark."""
    for mark, name in _ENCODINGS.items():
        if head.startswith(mark):
            return name
    even, odd = head[:_SAMPLE:2], head[1:_SAMPLE:2]
    if odd and all(even) and odd.count(0) * 2 > len(odd):
        return "utf-16-le"
    return "utf-16-be" if odd and all(odd) and even.count(0) * 2 > len(even) else "utf-8"


def is_text(head: bytes, encoding: str | None = None) -> bool:
    """Say whether these bytes begin a text: decodable, and without control codes."""
    try:
        text = codecs.getincrementaldecoder(encoding or encoding_of(head))().decode(head)
    except UnicodeError:
        return False
    return _CONTROL.search(text) is None


def open_text(file: BinaryIO) -> io.TextIOWrapper:
    """Return the file as text, whose reading raises UnicodeDecodeError if it is none."""
    head = file.read(_CHUNK)
    file.seek(0)
    return io.TextIOWrapper(file, encoding=encoding_of(head), newline="")


def read_json(file: BinaryIO) -> Any:
    """Return what a JSON file holds.

    Raises:
        UnreadableList: it is no JSON, or too large.
    """
    content = file.read(MOST_JSON_BYTES + 1)
    if len(content) > MOST_JSON_BYTES:
        raise UnreadableList(
            f"the list is too large: more than {MOST_JSON_BYTES >> 20} MiB of JSON"
        )
    try:
        return json.loads(content.decode(encoding_of(content)).removeprefix("\ufeff"))
    except RecursionError:
        raise UnreadableList("the JSON is nested too deeply") from None
    except UnicodeError:
        raise UnreadableList("the JSON is not in UTF-8: save it as UTF-8") from None
    except json.JSONDecodeError as exc:
        is_cut = exc.pos >= len(exc.doc.rstrip()) or exc.msg.startswith("Unterminated")
        why = "it ends half-way" if is_cut else f"{exc.msg}, line {exc.lineno}"
        raise UnreadableList(f"the JSON is damaged: {why}") from None
    except ValueError:  # a number of more digits than Python converts
        raise UnreadableList(
            "the JSON is damaged: it holds a number of thousands of digits"
        ) from None
