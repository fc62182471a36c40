"""Deliver the outbox to the notification server: send, then mark.

Delivery is at least once: an event that is not known to be accepted is sent again, and the server
drops repeats by event id. A server that is down costs a run one attempt, and loses no event.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from time import monotonic

import requests

from batch.config import Config
from batch.errors import BatchError, innermost
from batch.stop import Stop
from batch.store import outbox
from batch.store.outbox import Attempt, Owed
from mangahub import __version__
from sql import Connection

MAX_EVENTS = 500
MAX_BODY = 900_000  # bytes; the server takes 1 MiB
CONNECT_TIMEOUT_S = 3.0
ONE_EVENT_TIMEOUT_S = 5.0
BATCH_TIMEOUT_S = 60.0
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
# The 4xx that are about the key, the time or another event, not about this one.
_PASSING = (401, 403, 408, 424, 425, 429)

log = logging.getLogger(__name__)


class _ServerUnavailable(BatchError):
    """The server accepts no events at present, so the others wait too."""


class _BodyRefused(BatchError):
    """The server answers that something in this body is wrong."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class DeliveryCounts:
    """Counts of a delivery; where `is_down`, the rest of the events was not tried."""

    accepted: int = 0
    postponed: int = 0
    rejected: int = 0
    is_down: bool = False


@dataclass(frozen=True, slots=True)
class _EventResult:
    """What the server answered about one event; `status` is None if it did not answer."""

    status: int | None
    error: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Whether the server will give the same answer however often it is asked."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in _PASSING

    @property
    def is_about_the_server(self) -> bool:
        """Whether other events would fare the same; a 500 may be about this event."""
        return self.status in (None, 429, 503)

    @property
    def reason(self) -> str:
        return self.error if self.status is None else f"{self.status}: {self.error}"


_WAITS = _EventResult(424, "waits for an earlier event of its title")


class Relay:
    """A sender to one notification server; its requests do not count for the source's budget.

    Args:
        url: where `/notify/batch` is.
        key: sent as a bearer token when given.
        stop: ends the wait for an answer; the events stay owed then.
    """

    def __init__(self, url: str, key: str | None, stop: Stop) -> None:
        self._url = f"{url}/notify/batch"
        self._stop = stop
        self._session = requests.Session()
        # An internal address: ignore the environment's proxies and .netrc.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = f"mangahub-sync/{__version__}"
        self._session.headers["Content-Type"] = "application/json"
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def close(self) -> None:
        self._session.close()

    def deliver(self, connection: Connection, *, everything: bool) -> DeliveryCounts:
        """Send what is owed, in order, until all is sent or the server is down.

        What follows an event of its title that stays owed is not sent: readers hear of 8 before 9.

        Args:
            everything: include events whose next attempt is not due yet.

        Raises:
            Stopped: a signal came.
        """
        counts = DeliveryCounts()
        waiting: set[int | None] = set()  # the titles of events that stay owed
        last_id = 0
        while batch := outbox.read_owed(connection, last_id, MAX_EVENTS, everything=everything):
            for part in _split(batch):
                self._stop.check()
                self._deliver_part(connection, part, waiting, counts)
                if counts.is_down:
                    return counts
            last_id = batch[-1].id
        return counts

    def _deliver_part(
        self,
        connection: Connection,
        events: Sequence[Owed],
        waiting: set[int | None],
        counts: DeliveryCounts,
    ) -> None:
        results = self._send(events, waiting)
        accepted = [event.id for event, result in results if result.is_accepted]
        failed = [_attempt(event, result) for event, result in results if not result.is_accepted]
        with connection.transaction():
            outbox.mark_accepted(connection, accepted)
            outbox.note_failures(connection, failed)
        rejected = sum(attempt.is_final for attempt in failed)
        counts.accepted += len(accepted)
        counts.rejected += rejected
        counts.postponed += (postponed := len(failed) - rejected)
        # The last one decides: when the server loses its database, all later events fail.
        counts.is_down = results[-1][1].is_about_the_server
        log.info(
            "Delivered events accepted=%d postponed=%d rejected=%d",
            len(accepted),
            postponed,
            rejected,
        )

    def _send(
        self, events: Sequence[Owed], waiting: set[int | None]
    ) -> list[tuple[Owed, _EventResult]]:
        """Post events, but for those that have to wait for another of their title.

        A body that is rejected as a whole is halved until the faulty event is alone.
        """
        sent = [event for event in events if event.manga_id not in waiting]
        results = [(event, _WAITS) for event in events if event.manga_id in waiting]
        try:
            results += zip(sent, _results(self._post(sent), len(sent)), strict=True) if sent else []
        except _BodyRefused as exc:
            if len(sent) > 1:
                middle = len(sent) // 2
                results += self._send(sent[:middle], waiting)
                if results[-1][1].is_about_the_server:
                    return results + [(event, results[-1][1]) for event in sent[middle:]]
                return results + self._send(sent[middle:], waiting)
            results.append((sent[0], _EventResult(exc.status, str(exc))))
        except _ServerUnavailable as exc:
            # As text: a log record that is kept must not keep the frames of the error.
            log.warning("The notification server accepts no events: %s", str(exc))
            results += [(event, _EventResult(None, str(exc))) for event in sent]
        waiting |= {e.manga_id for e, r in results if not (r.is_accepted or r.is_final)} - {None}
        return results

    def _post(self, events: Sequence[Owed]) -> requests.Response:
        """Wait for the answer of a thread: a call of `requests` cannot be interrupted."""
        timeout_s = ONE_EVENT_TIMEOUT_S if len(events) == 1 else BATCH_TIMEOUT_S
        answer: Future[requests.Response] = Future()
        body = b'{"events":[%b]}' % b",".join(_encode(event) for event in events)
        sender = Thread(target=self._answer, args=(answer, body, timeout_s), daemon=True)
        try:
            sender.start()
        except RuntimeError as exc:
            raise _ServerUnavailable(f"no thread can be started to ask {self._url}") from exc
        deadline_s = monotonic() + CONNECT_TIMEOUT_S + timeout_s
        while not wait([answer], 0.1).done:
            self._stop.check()
            if monotonic() > deadline_s:
                raise _ServerUnavailable(f"{self._url} did not answer within {timeout_s:g} s")
        sender.join()
        try:
            return answer.result()
        except requests.RequestException as exc:
            raise _ServerUnavailable(f"{self._url}: {innermost(exc)}") from exc

    def _answer(self, answer: Future[requests.Response], body: bytes, timeout_s: float) -> None:
        try:
            response = self._session.post(
                self._url,
                data=body,
                timeout=(CONNECT_TIMEOUT_S, timeout_s),
                allow_redirects=False,  # it would become a GET, whose 200 means nothing
            )
            answer.set_result(response)
        except BaseException as exc:
            answer.set_exception(exc)


def deliver_owed(
    connection: Connection, config: Config, stop: Stop, *, everything: bool
) -> DeliveryCounts:
    """Deliver with a relay of its own; see `Relay.deliver`."""
    with closing(Relay(config.notify_url, config.notify_key, stop)) as relay:
        return relay.deliver(connection, everything=everything)


def _attempt(event: Owed, result: _EventResult) -> Attempt:
    return Attempt(event.id, result.reason, delay_after(event.attempts), result.is_final)


def delay_after(attempts: int) -> timedelta:
    """Return the wait after a failure that follows so many: one minute, doubling to one hour."""
    doubled = FIRST_DELAY * (1 << min(attempts, 10))
    return min(doubled, LONGEST_DELAY) * random.uniform(0.8, 1.2)


def _split(events: Sequence[Owed]) -> Iterator[list[Owed]]:
    """Cut a batch into parts whose bodies are small enough."""
    part: list[Owed] = []
    size = 0
    for event in events:
        length = len(_encode(event)) + 1
        if part and size + length > MAX_BODY:
            yield part
            part, size = [], 0
        part.append(event)
        size += length
    if part:
        yield part


def _encode(event: Owed) -> bytes:
    body = {**event.payload, "type": event.type, "event_id": event.dedup_key}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _results(response: requests.Response, count: int) -> list[_EventResult]:
    """Return one result an event.

    Raises:
        _BodyRefused: the server refuses the body as a whole.
        _ServerUnavailable: the answer says nothing about these events.
    """
    if response.status_code == 202:
        return [_EventResult(202)] * count
    if response.status_code == 207:
        return _single_results(response, count)
    text = f"answered {response.status_code} {_shorten(response.text)}".strip()
    if response.status_code in (400, 413, 422):
        raise _BodyRefused(text, response.status_code)
    raise _ServerUnavailable(text)


def _single_results(response: requests.Response, count: int) -> list[_EventResult]:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    results = body.get("results") if isinstance(body, Mapping) else None
    if not isinstance(results, list) or len(results) != count:
        raise _ServerUnavailable(f"answered 207 without {count} results")
    return [_single_result(result) for result in results]


def _single_result(result: object) -> _EventResult:
    fields = result if isinstance(result, Mapping) else {"status": result}
    status = fields.get("status")
    if not isinstance(status, int):
        return _EventResult(500, f"a result without a status: {_shorten(str(result))}")
    return _EventResult(status, _shorten(str(fields.get("error") or "")))


def _shorten(text: str) -> str:
    return " ".join(text.split())[:200]
