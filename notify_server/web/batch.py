"""A batch: several events in one request, each in a transaction of its own, a result for each."""

from __future__ import annotations

import logging
import uuid
from time import monotonic
from typing import Any

import psycopg

from notify_server.events import validation
from notify_server.events.fields import Invalid
from notify_server.events.kinds import Event
from notify_server.publish.publisher import Publisher
from notify_server.store.notifications import EventOutcome, StoreResult
from notify_server.web.errors import INTERNAL, status_of

log = logging.getLogger(__name__)

# The sender waits 60 s, and the last statement may take 20; the rest is for the next batch.
_TIME_S = 35.0
_TRY_AGAIN = (429, 503)

Result = dict[str, Any]


def result_of(event: Event, stored: StoreResult) -> Result:
    """Return the result of an event, as in the answer."""
    if stored.outcome is EventOutcome.UNKNOWN_MANGA:
        return _rejected(event, 404, f"manga_id: there is no manga {event.manga_id}")
    return {
        "status": 202,
        "event_id": event.event_id,
        "outcome": stored.outcome.value,
        "recipients": stored.recipients,
    }


def publish_all(elements: list[object], publisher: Publisher, started: float) -> list[Result]:
    """Publish each event; stop after a temporary error, or when the time is over.

    After an event that could not be stored, later ones of its title are not stored either: readers
    hear of 8 before 9.

    Args:
        started: monotonic time of the request.

    Raises:
        Exception: a temporary error before any event was accepted: it answers the whole batch.
    """
    results: list[Result] = []
    ended_by: int | None = None  # the status of all events from there on
    failed: set[int] = set()  # titles
    for element in elements:
        if ended_by is None and monotonic() - started > _TIME_S:
            ended_by = 503
        can_raise = not any(result["status"] == 202 for result in results)
        result = _publish(element, publisher, ended_by, failed, can_raise)
        if result["status"] in _TRY_AGAIN:
            ended_by = result["status"]
        results.append(result)
    return results


def _publish(
    element: object,
    publisher: Publisher,
    ended_by: int | None,
    failed: set[int],
    can_raise: bool,
) -> Result:
    try:
        event = validation.parse_typed_event(element, str(uuid.uuid4()))
    except Invalid as exc:
        return {"status": 400, "error": str(exc)}
    if ended_by is not None:
        return _rejected(event, ended_by, "not tried: send it again")
    if event.manga_id in failed:
        return _rejected(event, 424, "not tried: an earlier event of its title was not stored")
    try:
        return result_of(event, publisher.publish(event))
    except Exception as exc:
        status = _status_in_batch(exc)
        if status in _TRY_AGAIN and can_raise:
            raise
        if status >= 500:
            failed.add(event.manga_id)
        if status == 500:
            log.exception("Unexpected error, event not stored event_id=%s", event.event_id)
        return _rejected(event, status, INTERNAL if status == 500 else str(exc))


def _status_in_batch(exc: Exception) -> int:
    """Return the status; a statement's error, such as a time-out, does not end the batch."""
    return 500 if isinstance(exc, psycopg.Error) else status_of(exc) or 500


def _rejected(event: Event, status: int, message: str) -> Result:
    return {"status": status, "event_id": event.event_id, "error": message}
