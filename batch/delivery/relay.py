"""Delivers the outbox to the notification server: send, then mark.

At least once: whatever is not known to be accepted is sent again, and the receiver drops repeats
by event id. A server that is down costs a run one attempt, and no event is lost by it.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from time import monotonic

import requests

from batch.config import Config
from batch.errors import BatchError
from batch.stop import Stop
from batch.store import outbox
from batch.store.outbox import Owed, Postponed
from mangahub import __version__
from sql import Connection

MAX_EVENTS = 500
MAX_BODY = 900_000  # bytes; the receiver takes 1 MiB
CONNECT_TIMEOUT_S = 3.0
ONE_EVENT_TIMEOUT_S = 5.0
BATCH_TIMEOUT_S = 60.0
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)

log = logging.getLogger(__name__)


class _ServerTrouble(BatchError):
    """The server cannot take anything just now: the rest can wait too."""


class _BodyRefused(BatchError):
    """The server says that something in this body is wrong."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Delivery:
    """What became of the events that were owed; `is_down` tells why the rest was not tried."""

    accepted: int = 0
    postponed: int = 0
    is_down: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The server's word on one event; ours where `is_told` is false."""

    status: int
    error: str
    is_told: bool = True

    @property
    def is_accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_trouble(self) -> bool:
        """About the server; a 500 may well be about the event."""
        return self.status in (429, 503)


class Notifier:
    """A sender to one notification server; its requests are none of the source's budget.

    Args:
        url: where `/notify/batch` is.
        key: sent as a bearer token when given.
        stop: ends the wait for an answer; what was sent counts as owed then.
    """

    def __init__(self, url: str, key: str | None, stop: Stop) -> None:
        self._url = f"{url}/notify/batch"
        self._stop = stop
        self._session = requests.Session()
        # An inner address: neither the environment's proxies nor a .netrc have a say in it.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = f"mangahub-sync/{__version__}"
        self._session.headers["Content-Type"] = "application/json"
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def close(self) -> None:
        self._session.close()

    def deliver(self, connection: Connection, *, everything: bool) -> Delivery:
        """Sends what is owed, in order, until all is sent or the server turns out to be down.

        Args:
            everything: also what is postponed.

        Raises:
            Stopped: the run has been asked to stop.
        """
        result = Delivery()
        last_id = 0
        while batch := outbox.read_owed(connection, last_id, MAX_EVENTS, everything=everything):
            for part in _split(batch):
                self._stop.check()
                self._deliver_part(connection, part, result)
                if result.is_down:
                    return result
            last_id = batch[-1].id
        return result

    def _deliver_part(
        self, connection: Connection, events: Sequence[Owed], result: Delivery
    ) -> None:
        try:
            outcomes = self._send(events)
        except _ServerTrouble as exc:
            # As text: a record that is kept must not keep the frames of the error.
            log.warning("The notification server takes no events for now: %s", str(exc))
            outcomes = [_Outcome(503, str(exc), is_told=False)] * len(events)
        pairs = list(zip(events, outcomes, strict=True))
        accepted = [event.id for event, outcome in pairs if outcome.is_accepted]
        failed = [(event, outcome) for event, outcome in pairs if not outcome.is_accepted]
        with connection.transaction():
            outbox.mark_accepted(connection, accepted)
            outbox.postpone(connection, [_postponed(event, outcome) for event, outcome in failed])
        result.accepted += len(accepted)
        result.postponed += len(failed)
        result.is_down = outcomes[-1].is_trouble  # a database that goes away takes the rest along
        log.info("Delivered events accepted=%d postponed=%d", len(accepted), len(failed))

    def _send(self, events: Sequence[Owed]) -> list[_Outcome]:
        """Posts events; a body that is refused as a whole is halved until the culprit is alone."""
        try:
            return _outcomes(self._post(events), len(events))
        except _BodyRefused as exc:
            if len(events) == 1:
                return [_Outcome(exc.status, str(exc))]
            middle = len(events) // 2
            return self._send(events[:middle]) + self._send(events[middle:])

    def _post(self, events: Sequence[Owed]) -> requests.Response:
        """Waits for the answer in a thread: `requests` itself could not be interrupted."""
        timeout_s = ONE_EVENT_TIMEOUT_S if len(events) == 1 else BATCH_TIMEOUT_S
        answer: Future[requests.Response] = Future()
        body = b'{"events":[%b]}' % b",".join(_encode(event) for event in events)
        sender = Thread(target=self._answer, args=(answer, body, timeout_s), daemon=True)
        sender.start()
        deadline_s = monotonic() + CONNECT_TIMEOUT_S + timeout_s
        while not wait([answer], 0.1).done:
            self._stop.check()
            if monotonic() > deadline_s:
                raise _ServerTrouble(f"{self._url} did not answer within {timeout_s:g} s")
        sender.join()
        try:
            return answer.result()
        except requests.RequestException as exc:
            raise _ServerTrouble(f"{self._url}: {_cause(exc)}") from exc

    def _answer(self, answer: Future[requests.Response], body: bytes, timeout_s: float) -> None:
        try:
            response = self._session.post(
                self._url,
                data=body,
                timeout=(CONNECT_TIMEOUT_S, timeout_s),
                allow_redirects=False,  # would become a GET, whose 200 means nothing
            )
            answer.set_result(response)
        except BaseException as exc:
            answer.set_exception(exc)


def relay(connection: Connection, config: Config, stop: Stop, *, everything: bool) -> Delivery:
    """Delivers what is owed with a notifier of its own; see `Notifier.deliver`."""
    notifier = Notifier(config.notify_url, config.notify_key, stop)
    try:
        return notifier.deliver(connection, everything=everything)
    finally:
        notifier.close()


def delay_after(attempts: int) -> timedelta:
    """How long an event waits after so many failures before this one: a minute, then doubling."""
    doubled = FIRST_DELAY * (1 << min(attempts, 10))
    return min(doubled, LONGEST_DELAY) * random.uniform(0.8, 1.2)


def _postponed(event: Owed, outcome: _Outcome) -> Postponed:
    error = f"{outcome.status}: {outcome.error}" if outcome.is_told else outcome.error
    return Postponed(event.id, error, delay_after(event.attempts))


def _split(events: Sequence[Owed]) -> Iterator[list[Owed]]:
    """Cuts where a body would grow too large."""
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


def _outcomes(response: requests.Response, count: int) -> list[_Outcome]:
    """One outcome an event.

    Raises:
        _BodyRefused: the body as a whole.
        _ServerTrouble: anything that says nothing about these events.
    """
    if response.status_code == 202:
        return [_Outcome(202, "")] * count
    if response.status_code == 207:
        return _single_outcomes(response, count)
    text = f"answered {response.status_code} {_shorten(response.text)}".strip()
    if response.status_code in (400, 413, 422):
        raise _BodyRefused(text, response.status_code)
    raise _ServerTrouble(text)


def _single_outcomes(response: requests.Response, count: int) -> list[_Outcome]:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    results = body.get("results") if isinstance(body, Mapping) else None
    if not isinstance(results, list) or len(results) != count:
        raise _ServerTrouble(f"answered 207 without {count} results")
    return [_single_outcome(result) for result in results]


def _single_outcome(result: object) -> _Outcome:
    fields = result if isinstance(result, Mapping) else {"status": result}
    status = fields.get("status")
    if not isinstance(status, int):
        return _Outcome(500, f"a result without a status: {_shorten(str(result))}")
    return _Outcome(status, _shorten(str(fields.get("error") or "")))


def _shorten(text: str) -> str:
    return " ".join(text.split())[:200]


def _cause(exc: BaseException) -> str:
    """The last part of a chain of wrapped errors, on one line."""
    last = str(exc).rsplit(": ", 1)[-1].rstrip("\"')")
    return f"{type(exc).__name__}: {_shorten(last)}"
