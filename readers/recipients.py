"""The recipients of an event in packed form. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ROW = struct.Struct(">q16s")
# SQL that packs rows as `_ROW` does: a Python object for each of 10,000 rows takes longer than
# storing them.
PACKED = "string_agg(int8send(id) || uuid_send(user_id), ''::bytea)"


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients of one event: for each, the id of the notification and the user's 16 bytes.

    Attributes:
        packed: what a query returned for `PACKED`, in binary.
    """

    packed: bytes

    @classmethod
    def pack(cls, rows: Iterable[tuple[int, bytes]]) -> Recipients:
        return cls(b"".join(_ROW.pack(id, user) for id, user in rows))

    def __len__(self) -> int:
        return len(self.packed) // _ROW.size

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return _ROW.iter_unpack(self.packed)
