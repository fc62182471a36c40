"""What answers hold that are no lists of titles or chapters: numbers, figures, a token. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from batch.errors import TransientError
from batch.models import JsonObject

_MOST_FOLLOWS = 2**31 - 1  # what the column holds


def ids_by_number(body: JsonObject | None, asked: Sequence[int]) -> dict[int, UUID]:
    """Return the ids of titles by those old numbers that were asked for.

    Raises:
        TransientError: the answer is no list.
    """
    data = (body or {}).get("data", [])
    if not isinstance(data, list):
        raise TransientError("the answer to old numbers is not a list")
    known = set(asked)
    return {number: id for number, id in _pairs(data) if number in known}


def _pairs(data: list[object]) -> Iterator[tuple[int, UUID]]:
    for each in data:
        attributes = each.get("attributes") if isinstance(each, Mapping) else None
        if not isinstance(attributes, Mapping):
            continue
        number, text = attributes.get("legacyId"), attributes.get("newId")
        if isinstance(number, int) and not isinstance(number, bool) and isinstance(text, str):
            with suppress(ValueError):
                yield number, UUID(text)


def follows_of(body: JsonObject | None) -> dict[UUID, int]:
    """Return how many follow each title; what is no figure is left out.

    Raises:
        TransientError: the answer has no statistics.
    """
    statistics = (body or {}).get("statistics", {})
    if statistics == []:  # an empty map of PHP
        return {}
    if not isinstance(statistics, Mapping):
        raise TransientError("the answer has no statistics")
    found = {}
    for text, each in statistics.items():
        follows = each.get("follows") if isinstance(each, Mapping) else None
        if isinstance(follows, int) and not isinstance(follows, bool) and follows >= 0:
            with suppress(ValueError):
                found[UUID(text)] = min(follows, _MOST_FOLLOWS)
    return found


def token_of(body: JsonObject | None) -> str:
    """Return the access token of a login.

    Raises:
        TransientError: there is none, or one that no header can carry.
    """
    token = (body or {}).get("access_token")
    if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
        raise TransientError("the answer to the login has no access token")
    return token
