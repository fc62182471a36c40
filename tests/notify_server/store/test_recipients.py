"""Recipients, packed by PostgreSQL and by Python."""

from __future__ import annotations

import os
import uuid
from typing import Any

from notify_server.store.recipients import PACKED, Recipients

ROWS = [(1, os.urandom(16)), (2**63 - 1, os.urandom(16)), (-5, bytes(16))]


def test_what_was_packed_is_read_again_any_number_of_times() -> None:
    recipients = Recipients.pack(ROWS)
    assert len(recipients) == 3
    assert list(recipients) == list(recipients) == ROWS
    assert not Recipients(b"") and list(Recipients(b"")) == []


def test_postgresql_packs_in_the_same_form(connection: Any) -> None:
    rows = [(id, uuid.UUID(bytes=user)) for id, user in ROWS]
    values = ", ".join("(%s::bigint, %s::uuid)" for _ in rows)
    query = f"SELECT {PACKED} FROM (VALUES {values}) AS stored (id, user_id)"
    parameters = [value for row in rows for value in row]
    (packed,) = connection.execute(query.encode(), parameters, binary=True).fetchone()
    assert list(Recipients(packed)) == ROWS
