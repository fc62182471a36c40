"""Columns of `notifications` as any program may have filled them, made safe to read.

PostgreSQL holds times and numbers that Python cannot, and JSON nested deeper than it can follow.
"""

from __future__ import annotations

import json
from typing import NoReturn

from notify_server.events.kinds import Json

# Deeper than anything that can be posted, and far from Python's own limit.
_DEEPEST = 100

# To be read by `read_content`.
CONTENT = "data::text"


def moment(column: str) -> str:
    """SQL for a time, the nearest one that Python can hold."""
    return (
        f"CASE WHEN {column} IS NOT NULL THEN greatest('0001-01-01 00:00:00+00', "
        f"least({column}, '9999-12-31 23:59:59.999999+00')) END"
    )


def read_content(text: str | None) -> tuple[dict[str, Json], list[Json]]:
    """`data` and `changes` from a row's JSON; empty where it has none that JSON can say again."""
    try:
        whole = json.loads(text or "null", parse_float=_finite, parse_constant=_refuse)
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
    return _refuse(text) if number in (float("inf"), float("-inf")) else number


def _refuse(text: str) -> NoReturn:
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
