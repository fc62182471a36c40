"""Protocol buffers, as far as backups need them: fields in, fields out, no schema.

Their own runtimes reject messages with a field number 0, which old backups hold; here an unknown
field is passed over, whatever its number. § https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from readers.errors import UnreadableList
from readers.lists.formats.files import MOST_BYTES

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LENGTHS = {FIXED64: 8, FIXED32: 4}
_MOST_VARINT_BYTES = 10

Value = int | bytes


def read_fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field; numbers of fixed size as their bytes.

    Raises:
        UnreadableList: the message ends within a field, or is none.
    """
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        length = _LENGTHS.get(kind)
        if kind == BYTES:
            length, position = _varint(message, position)
        if length is None:
            raise UnreadableList(f"a backup has no field of type {kind}")
        if position + length > end:
            raise UnreadableList("the backup ends half-way")
        yield tag >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for byte in message[position : position + _MOST_VARINT_BYTES]:
        value |= (byte & 127) << shift
        position += 1
        shift += 7
        if byte < 128:
            return value, position
    raise UnreadableList("the backup ends half-way, or is damaged")


def read_messages(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each field of a file that holds messages only.

    Raises:
        UnreadableList: as `read_fields`.
    """
    while head := file.read(1):
        tag = _read_varint(file, head)
        if tag & 7 != BYTES:
            raise UnreadableList("the file is no backup: it holds more than messages")
        length = _read_varint(file, file.read(1))
        content = file.read(min(length, MOST_BYTES))
        if len(content) < length:
            raise UnreadableList("the backup ends half-way")
        yield tag >> 3, content


def _read_varint(file: BinaryIO, head: bytes) -> int:
    read = bytearray(head)
    while read and read[-1] >= 128 and len(read) < _MOST_VARINT_BYTES and (more := file.read(1)):
        read += more
    return _varint(bytes(read), 0)[0]


def as_float(value: Value) -> float:
    """Return a field of type float; 0 if it is none."""
    if not isinstance(value, bytes) or len(value) != 4:
        return 0.0
    return float(struct.unpack("<f", value)[0])


def as_text(value: Value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def write_field(number: int, value: int | float | str | bytes) -> bytes:
    """Return one field: an int as varint, a float with 4 bytes, all else with its length."""
    if isinstance(value, int):
        return _write_varint(number << 3 | VARINT) + _write_varint(value)
    if isinstance(value, float):
        return _write_varint(number << 3 | FIXED32) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _write_varint(number << 3 | BYTES) + _write_varint(len(content)) + content


def _write_varint(value: int) -> bytes:
    value %= 2**64  # a negative one is written as its complement
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])
