"""The recipients of an event in packed form. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ROW = struct.Struct(">q16s")
# SQL that packs rows as `_ROW` does: a Python object for each of 10,000 rows takes longer than
# storing them.
PACKED = "string_agg(int8send(id) || uuid_send(user_id), ''::bytea)"
# What a row's data says of its reader alone, as text; the rest is the same in all rows of an event.
BEHIND = "data #>> '{data,behind}'"


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


@dataclass(frozen=True, slots=True)
class Share:
    """Those recipients of an event whose notifications are the same but for the id.

    Attributes:
        behind: how many chapters they are behind with this one; None where that is not known.
    """

    behind: int | None
    recipients: Recipients
