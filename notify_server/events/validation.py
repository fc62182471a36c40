"""From the bytes of a POST to an event, or to an error that names the field. Pure."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from notify_server.events.fields import Invalid
from notify_server.events.kinds import KINDS, Event

MAX_EVENTS = 500


def parse_json(body: bytes) -> object:
    """Return the body's JSON value; fractions as Decimal, so that their digits can be counted.

    Raises:
        Invalid: it is not JSON in UTF-8, is nested too deeply, or contains NaN or Infinity.
    """
    try:
        text = body.decode("utf-8")
        return json.loads(text, parse_float=_decimal, parse_constant=_reject_constant)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply") from None
    except json.JSONDecodeError as exc:
        raise Invalid(f"the body is not JSON: {exc.msg} at character {exc.pos}") from None
    except ValueError:
        raise Invalid("the body contains a number that is too long") from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Invalid(f"the body contains a number that is out of range: {text:.40}") from None


def _reject_constant(name: str) -> NoReturn:
    raise Invalid(f"the body is not JSON: {name} is not a number")


def parse_events(value: object) -> list[object]:
    """Return the elements of a batch, not yet checked themselves."""
    elements = value.get("events") if isinstance(value, dict) else None
    if not isinstance(elements, list) or not elements:
        raise Invalid("events: must be a list of at least one event")
    if len(elements) > MAX_EVENTS:
        raise Invalid(f"events: must be at most {MAX_EVENTS}, not {len(elements)}")
    return elements


def parse_typed_event(value: object, spare_id: str) -> Event:
    """Return an element of a batch, whose `type` names its kind; see `parse_event`."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise Invalid(f"type: must be one of {', '.join(KINDS)}")
    return parse_event(kind, value, spare_id)


def parse_event(kind: str, value: object, spare_id: str) -> Event:
    """Return the event of a POST to `/notify/KIND`. Unknown fields are ignored.

    Args:
        spare_id: the event's id if the body has none.

    Raises:
        Invalid: the first field that is wrong.
    """
    found = KINDS[kind]
    body = found.body.read(value, "")
    event_id = body["event_id"] or spare_id
    return Event(event_id, found, body["manga_id"], body["title"], *found.compose(body))
