"""A notification as a datagram: encoded once per event, cut to 1200 bytes, filled in per client.

Streams send the same text, without a session. Only that and the row's id differ between the
recipients of one event, so everything else is encoded once. What does not fit is left out or cut
just as far as needed, but for the address that opens the chapter; the rows in the database stay
whole. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_DATAGRAM = 1200
# What surrounds the common part: the longest id, and `,"session":"<32 digits>"}`.
_ID_DIGITS = 19
_SUFFIX = len(',"session":""}') + 32
# Texts are cut to this length before lists are cut; readers see the message.
_LEAST_TEXT, _LEAST_MESSAGE = 24, 64
_LEAST_KEYS = 8
_VALUES = ("data", "changes")
_LEFT_OUT_FIRST = ("items", "groups", "chapter_title")  # in this order
_KEPT = "url"
_MAX_URL = 512  # bytes; what another program has written may be longer
_DEEPEST = 4


class Content(NamedTuple):
    """What all rows of one event in `notifications` have in common.

    Attributes:
        type: the type of the datagram.
        created_at: None if another program's row lacks it.
    """

    type: str
    manga_id: int
    title: str
    message: str
    created_at: datetime | None
    data: dict[str, Json]
    changes: list[Json]


@dataclass(slots=True, eq=False)
class DatagramTemplate:
    """The bytes around the id and the session in one event's datagrams.

    Attributes:
        received: monotonic time of the POST, None if it did not arrive at this server.
    """

    head: bytes
    tail: bytes
    received: float | None = None

    def fill(self, id: int, suffix: bytes) -> bytes:
        """Return the datagram of the row `id`, with the client's `session_suffix`."""
        return b"%b%d%b%b" % (self.head, id, self.tail, suffix)


def session_suffix(session: str | None) -> bytes:
    """Return the end of every notification to one client."""
    return b"}" if session is None else b',"session":"%b"}' % session.encode()


def make_template(content: Content, received: float | None = None) -> DatagramTemplate:
    """Encode what the datagrams of one event have in common.

    Data and changes that UTF-8 cannot encode (half a surrogate pair, which a `json` column accepts)
    are left out.
    """
    head = encode({"type": cut(content.type, 64)})[:-1] + b',"id":'
    fields: dict[str, Json] = {
        "manga_id": content.manga_id,
        "title": content.title,
        "message": content.message,
        "timestamp": timestamp(content.created_at) if content.created_at else "",
        "data": content.data,
        "changes": content.changes,
    }
    limit = MAX_DATAGRAM - len(head) - _ID_DIGITS - _SUFFIX - 1
    try:
        body = _fit(fields, limit)
    except UnicodeEncodeError:
        body = _fit(_without_values(fields), limit)
    return DatagramTemplate(head, b"," + body, received)


def _fit(fields: dict[str, Json], limit: int) -> bytes:
    """Return the members of the object, without its braces, in at most `limit` bytes."""
    whole = _render(fields)
    for name in _LEFT_OUT_FIRST:
        if len(whole) > limit:
            fields = _without(fields, name)
            whole = _render(fields)
    if len(whole) <= limit:
        return whole

    def fits(text_length: int, list_length: int) -> bool:
        return len(_render(_trim(fields, text_length, list_length))) <= limit

    most = MAX_DATAGRAM
    if not fits(_LEAST_TEXT, most):
        most = _largest(0, MAX_DATAGRAM, lambda n: fits(_LEAST_TEXT, n))
        if not fits(_LEAST_TEXT, most):
            return _fit(_without_values(fields), limit)
    length = _largest(_LEAST_TEXT, MAX_DATAGRAM, lambda n: fits(n, most))
    return _render(_trim(fields, length, most))


def _without(fields: dict[str, Json], name: str) -> dict[str, Json]:
    data = fields["data"]
    assert isinstance(data, dict)
    return {**fields, "data": {key: value for key, value in data.items() if key != name}}


def _without_values(fields: dict[str, Json]) -> dict[str, Json]:
    return {**fields, "data": _kept(fields["data"]), "changes": []}


def _kept(data: Json) -> dict[str, Json]:
    """Return what is never cut or left out."""
    url = data.get(_KEPT) if isinstance(data, dict) else None
    return {_KEPT: url} if isinstance(url, str) and len(url.encode()) <= _MAX_URL else {}


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """Return a value from `low` to `high` that fits, the largest where fitting is monotonic.

    `low` is returned without being tried, any other value only after it was found to fit.
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
    cut_fields = {
        key: _cut_value(value, lengths[key], list_length, 0) if key in lengths else value
        for key, value in fields.items()
    }
    if kept := _kept(fields["data"]):
        data = cut_fields["data"]
        assert isinstance(data, dict)
        cut_fields["data"] = {**data, **kept}
    return cut_fields


def _cut_value(value: Json, text_length: int, list_length: int, depth: int) -> Json:
    """Cut texts and lists inside any JSON value; what is nested very deeply is left out."""
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
    """Return at most `length` characters, the last one an ellipsis where something is missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


def timestamp(moment: datetime) -> str:
    """Return the time as RFC 3339 in UTC. One without zone, as older databases have, is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def encode(body: dict[str, object]) -> bytes:
    """Return compact JSON in UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
