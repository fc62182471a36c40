"""Columns of `notifications`, as other programs may have filled them, made safe to read.

PostgreSQL has numbers that Python cannot represent, and JSON nested too deeply for it. Times that
it cannot represent are read as the nearest ones in every session (see `sql.connection`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from readers.datagram import Content, Json

# Deeper than any posted value may be, and well below Python's own limit.
_DEEPEST = 100
# A datagram shows less of a text than this; titles in the database may be much longer.
SHOWN = 1_300


# Read by `read_data` and `read_content`.
DATA = "data::text"
CONTENT = f"type, manga_id, left(title, {SHOWN}), left(message, {SHOWN}), created_at, {DATA}"


def read_content(row: Sequence[Any]) -> Content:
    """Return the content of a row, which may lack anything but its message."""
    kind, manga_id, title, message, created_at, stored = row
    return Content(
        kind or "NOTIFICATION",
        manga_id or 0,
        title or "",
        message or "",
        created_at,
        *read_data(stored),
    )


def read_data(text: str | None) -> tuple[dict[str, Json], list[Json]]:
    """Return `data` and `changes` from a row's JSON; empty if they cannot be written again."""
    try:
        whole = json.loads(text or "null", parse_float=_finite, parse_constant=_reject)
    except (ValueError, RecursionError):
        return {}, []
    if not isinstance(whole, dict) or not _is_shallow(whole):
        return {}, []
    data, changes = whole.get("data"), whole.get("changes")
    return (
        data if isinstance(data, dict) else {},
        changes if isinstance(changes, list) else [],
    )


def _finite(text: str) -> float:
    number = float(text)
    return _reject(text) if number in (float("inf"), float("-inf")) else number


def _reject(text: str) -> NoReturn:
    raise ValueError(f"no number in JSON: {text:.40}")


def _is_shallow(value: Json) -> bool:
    level: list[Json] = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _members(outer)]
        if not level:
            return True
    return False


def _members(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
