"""The recipients of an event: the SQL that finds them, and their packed form."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from notify_server.events.kinds import Audience

_ROW = struct.Struct(">q16s")
# SQL that packs rows as `_ROW` does: a Python object for each of 10,000 rows takes longer than
# storing them.
PACKED = "string_agg(int8send(id) || uuid_send(user_id), ''::bytea)"

# SQL that finds the recipients of each audience. Sorted, so that neighbours in the indexes are
# written together: a fifth less work.
FINDERS: dict[Audience, str] = {
    "users": "id FROM users ORDER BY id",
    "readers": "user_id AS id FROM user_library WHERE manga_id = %(manga_id)s ORDER BY user_id",
}


class Recipients:
    """The recipients of one event: for each, the id of the notification and the user's 16 bytes."""

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes) -> None:
        """Take what a query returned for `PACKED`, in binary."""
        self._packed = packed

    @classmethod
    def pack(cls, rows: Iterable[tuple[int, bytes]]) -> Recipients:
        return cls(b"".join(_ROW.pack(id, user) for id, user in rows))

    def __len__(self) -> int:
        return len(self._packed) // _ROW.size

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return _ROW.iter_unpack(self._packed)
