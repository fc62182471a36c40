"""A notification as a datagram: encoded once per event, cut to 1200 bytes, completed per client.

Only the row's id and the session differ between the recipients of one event, so everything else is
rendered once. Long texts and lists are cut just as far as needed; the rows in the database stay
whole. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from notify_server.events.kinds import Json
from notify_server.wire.protocol import MAX_DATAGRAM, encode

# What stands around the common part: the longest id, and `,"session":"<32 digits>"}`.
_ID_DIGITS = 19
_SUFFIX = len(',"session":""}') + 32
# Texts are not cut below this before lists are; the message is what a reader sees.
_LEAST_TEXT, _LEAST_MESSAGE = 24, 64
_LEAST_KEYS = 8
_VALUES = ("data", "changes")
_DEEPEST = 4


class DatagramTemplate:
    """The bytes around the id and the session of one event's datagrams."""

    __slots__ = ("head", "received", "tail")

    def __init__(self, head: bytes, tail: bytes, received: float | None = None) -> None:
        self.head = head
        self.tail = tail
        # Monotonic time of the POST, None where it did not arrive at this server.
        self.received = received


def suffix(session: str | None) -> bytes:
    """The end of every notification to one client."""
    return b"}" if session is None else b',"session":"%b"}' % session.encode()


def make_template(
    kind: str,
    manga_id: int,
    title: str,
    message: str,
    timestamp: str,
    data: Json,
    changes: Json,
    received: float | None = None,
) -> DatagramTemplate:
    """Renders the fields of a row of `notifications`.

    Args:
        kind: the datagram's type.
        data, changes: as in `notifications.data`; anything but an object and a list is left out.
    """
    head = encode({"type": cut(kind, 64)})[:-1] + b',"id":'
    fields: dict[str, Json] = {
        "manga_id": manga_id,
        "title": title,
        "message": message,
        "timestamp": timestamp,
        "data": data if isinstance(data, dict) else {},
        "changes": changes if isinstance(changes, list) else [],
    }
    room = MAX_DATAGRAM - len(head) - _ID_DIGITS - _SUFFIX
    return DatagramTemplate(head, b"," + _fit(fields, room - 1), received)


def _fit(fields: dict[str, Json], room: int) -> bytes:
    """The members of the object without its braces, in at most `room` bytes."""
    whole = _render(fields)
    if len(whole) <= room:
        return whole

    def fits(text_length: int, list_length: int) -> bool:
        return len(_render(_trim(fields, text_length, list_length))) <= room

    most = MAX_DATAGRAM
    if not fits(_LEAST_TEXT, most):
        most = _largest(0, MAX_DATAGRAM, lambda n: fits(_LEAST_TEXT, n))
        if not fits(_LEAST_TEXT, most):
            return _fit({**fields, "data": {}, "changes": []}, room)
    length = _largest(_LEAST_TEXT, MAX_DATAGRAM, lambda n: fits(n, most))
    return _render(_trim(fields, length, most))


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """A value from `low` to `high` that fits, the largest where fitting is monotonic.

    `low` is returned without being asked for, any other value only after it was found to fit.
    """
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _render(fields: dict[str, Json]) -> bytes:
    return encode(dict(fields))[1:-1]


def _trim(fields: dict[str, Json], text_length: int, list_length: int) -> dict[str, Json]:
    lengths = {"title": text_length, "message": max(text_length, _LEAST_MESSAGE)}
    lengths |= dict.fromkeys(_VALUES, text_length)
    return {
        key: _cut_value(value, lengths[key], list_length, 0) if key in lengths else value
        for key, value in fields.items()
    }


def _cut_value(value: Json, text_length: int, list_length: int, depth: int) -> Json:
    """Cuts texts and lists inside any JSON value; what is nested very deeply is left out."""
    if isinstance(value, str):
        return cut(value, text_length)
    if isinstance(value, list | dict) and depth > _DEEPEST:
        return None
    if isinstance(value, list):
        return [_cut_value(v, text_length, list_length, depth + 1) for v in value[:list_length]]
    if isinstance(value, dict):
        # Sorted, since jsonb does not keep the order in which an object was posted.
        keys = sorted(value)[: max(list_length, _LEAST_KEYS)]
        return {
            cut(k, text_length): _cut_value(value[k], text_length, list_length, depth + 1)
            for k in keys
        }
    return value


def cut(text: str, length: int) -> str:
    """At most `length` characters, the last one an ellipsis where something is missing."""
    return text if len(text) <= length else text[: length - 1] + "…"
