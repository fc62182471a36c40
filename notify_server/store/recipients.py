"""The recipients of an event: the SQL that finds them, and their packed form."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from notify_server.events.kinds import Audience

_ROW = struct.Struct(">q16s")
# SQL that packs rows as `_ROW` does: a Python object for each of 10,000 rows takes longer than
# storing them.
PACKED = "string_agg(int8send(id) || uuid_send(user_id), ''::bytea)"

# SQL that finds the recipients of each audience, by their preferences. Sorted, so that
# neighbours in the indexes are written together: a fifth less work.
FINDERS: dict[Audience, str] = {
    "users": """
        users.id FROM users LEFT JOIN reader_preferences AS own ON own.user_id = users.id
        WHERE own.new_titles IS NULL OR own.new_titles = 'all'
           OR string_to_array(lower(own.new_titles), ',') && (%(genres)s::text[] || ARRAY(
               SELECT lower(name) FROM manga_genres JOIN genres ON genres.id = genre_id
               WHERE manga_genres.manga_id = %(manga_id)s))
        ORDER BY users.id""",
    # The groups of each of an event's uploads: who blocks all groups of one is no recipient of it.
    "readers": """
        library.user_id AS id FROM user_library AS library
        LEFT JOIN reader_preferences AS own USING (user_id)
        LEFT JOIN library_settings AS here USING (user_id, manga_id)
        WHERE library.manga_id = %(manga_id)s AND here.muted IS NOT TRUE
          AND (%(language)s::text IS NULL
               OR %(language)s = ANY(coalesce(here.languages, own.languages)) IS NOT FALSE)
          AND (coalesce(own.blocked_groups, '{}') = '{}' OR %(uploads)s::jsonb = '[]' OR EXISTS (
               SELECT FROM jsonb_array_elements(%(uploads)s) AS upload (groups)
               WHERE groups = '[]' OR NOT groups <@ to_jsonb(own.blocked_groups)))
        ORDER BY library.user_id""",
}


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
