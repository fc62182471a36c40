"""The budget of requests to one source, shared by all programs that use the database.

One statement reserves a request's departure, on the database's clock. Nothing is held while
sending: a caller that hangs or is killed costs one departure and delays no other. A departure that
was late is corrected afterwards. Before its own departure each caller looks once more, and waits
longer if it would come too close to a late one. A caller that would be much too late returns the
departure and reserves another.

Two rules give the moment, for 5 a second: a request leaves at least 0.17 s after the last one, and
1.04 s after the fifth last. The first gives an even pace. The second guarantees at most five in
any second: of its 40 ms, 10 allow for late departures and 30 for the way to the source.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sql.connection import Connection, translated
from sql.errors import PausedForLong

SPACING = 1.04  # seconds of the window for a second's requests, as reserved; see above
LEAST_SPACING = 1.03  # the same for requests that leave after a late one
EVENNESS = 0.85  # the least distance of two departures, as a part of the even distance
LEAD_S = 0.01  # the least time between reserving and leaving: the answer takes time too
LAST_LOOK_S = 0.02  # before the departure: is there a pause, or was another request late?
LONGEST_LEAD_S = 0.5  # for a database with a long round trip
TOLERANCE_S = 0.1  # how late a request may leave
PUNCTUAL_S = 0.005  # a departure no later than that needs no correction
MAX_AHEAD_S = 1.5  # departures are reserved no further ahead: the longest wait for dead callers
MAX_PATIENCE_S = 120.0  # a longer pause ends the run: the timer soon starts the next one
MAX_PAUSE_S = 86_400.0  # the longest ban; a longer pause comes from a clock that was set back
MAX_FAILURES = 10  # in a row, over all callers: then the source fails, not one request
_WINDOW = 16  # departures that the row keeps, as in the column's default

_DUE = (
    f"greatest(clock_timestamp() + %(lead)s, departures[{_WINDOW}] + %(least_gap)s,"
    f" departures[{_WINDOW} + 1 - %(window)s] + %(window_span)s,"
    " bucket_full_at - %(bucket_slack)s)"
)
# set_config: a reservation need not survive a crash of the server, so it does not wait for a disk.
_RESERVE = (
    f"WITH reserved AS (UPDATE api_budget SET departures = departures[2:] || {_DUE},"
    f" bucket_full_at = greatest(bucket_full_at, {_DUE}) + %(interval)s"
    " FROM set_config('synchronous_commit', 'off', true)"
    " WHERE source = %(source)s AND paused_until <= clock_timestamp()"
    f" AND {_DUE} <= clock_timestamp() + interval '{MAX_AHEAD_S} s'"
    f" RETURNING source, departures[{_WINDOW}] AS at, clock_timestamp() AS now),"
    " counted AS (INSERT INTO api_requests AS r (source, slot, began_at, requests)"
    "  SELECT source, extract(epoch FROM at)::bigint / 60 %% 1440, date_trunc('minute', at), 1"
    "  FROM reserved ON CONFLICT (source, slot) DO UPDATE SET began_at = excluded.began_at,"
    "  requests = 1 + CASE WHEN r.began_at = excluded.began_at THEN r.requests ELSE 0 END)"
    " SELECT at, now FROM reserved"
)
# How much later than reserved a request has to leave, as earlier ones may have been late.
_LAST_LOOK = (
    "SELECT extract(epoch FROM greatest(interval '0', coalesce("
    "nullif(departures[array_position(departures, %(at)s) - %(window)s::integer], '-infinity')"
    " + %(least_window_span)s - %(at)s, interval '0')))::float8, clock_timestamp()"
    " FROM api_budget WHERE source = %(source)s AND paused_until <= clock_timestamp()"
)
_GIVE_BACK = (
    "UPDATE api_budget"
    " SET departures = array_prepend('-infinity', array_remove(departures, %(at)s))"
    " WHERE source = %(source)s AND %(at)s = ANY (departures)"
)
_CORRECT = (
    "UPDATE api_budget SET departures = array_replace(departures, %(at)s, %(at)s + %(late)s)"
    " FROM set_config('synchronous_commit', 'off', true) WHERE source = %(source)s"
)
# Times too far ahead were written before the database's clock was set back.
_FORGET_IMPOSSIBLE = (
    "UPDATE api_budget SET departures = DEFAULT, bucket_full_at = DEFAULT,"
    f" paused_until = least(paused_until, clock_timestamp() + interval '{MAX_PAUSE_S} s')"
    f" WHERE source = %(source)s AND (departures[{_WINDOW}]"
    f" > clock_timestamp() + interval '{MAX_AHEAD_S + 1} s'"
    f" OR paused_until > clock_timestamp() + interval '{MAX_PAUSE_S + 1} s')"
)


@dataclass(frozen=True, slots=True)
class Pace:
    """The permitted rate of requests to a source.

    Attributes:
        per_second: requests a second.
        burst: how many may leave at once after an idle time; 1 paces evenly and keeps to
            `per_second` in any second, more is a token bucket of that capacity.
    """

    per_second: float
    burst: int = 1

    def parameters(self) -> dict[str, object]:
        interval = timedelta(seconds=1 / self.per_second)
        if self.burst > 1:
            unused = dict.fromkeys(("least_gap", "window_span", "least_window_span"), timedelta(0))
            slack = (self.burst - 1) * interval
            return unused | {"window": 1, "bucket_slack": slack, "interval": interval}
        window = min(max(int(self.per_second), 1), _WINDOW)
        return {
            "least_gap": EVENNESS * interval,
            "window": window,
            "window_span": SPACING * window * interval,
            "least_window_span": LEAST_SPACING * window * interval,
            "bucket_slack": timedelta(seconds=MAX_PAUSE_S),  # so that the bucket has no effect
            "interval": interval,
        }


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What a caller has to know before a request.

    Attributes:
        pause_left_s: for how long no request may leave; 0 without a pause.
        failures: failures in a row, of all callers.
    """

    pause_left_s: float = 0.0
    failures: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: the source keeps failing, and gets no more requests."""
        return self.failures >= MAX_FAILURES


class Budget:
    """The requests of one process to one source.

    Args:
        connect: returns a live autocommit connection without a transaction.
        source: the base URL; another address has another budget.
        pace: the same for all callers of the source.

    All methods raise DatabaseDown if the database is unavailable: without it no request may leave.
    """

    def __init__(self, connect: Callable[[], Connection], source: str, pace: Pace) -> None:
        self._connect = connect
        self._parameters: dict[str, object] = {**pace.parameters(), "source": source_key(source)}
        self._interval_s = 1 / pace.per_second
        self._clock = _DatabaseClock()

    @contextmanager
    def departure(self, wait: Callable[[float], None]) -> Iterator[None]:
        """Reserve a departure and wait for it; the block has to send the request at once.

        Args:
            wait: sleeps so many seconds, or raises to end the waiting.

        Raises:
            PausedForLong: the source asked for a pause that is longer than MAX_PATIENCE_S.
        """
        at = self._await_departure(wait)
        try:
            yield
        finally:
            late_s = time.monotonic() - self._clock.earliest_s(at)
            if late_s > PUNCTUAL_S:
                self._execute(_CORRECT, at=at, late=timedelta(seconds=late_s))

    def _await_departure(self, wait: Callable[[float], None]) -> datetime:
        while True:
            at = self._reserve(wait)
            delay_s = 0.0
            look_s = self._clock.latest_s(at) - max(LAST_LOOK_S, self._clock.lead_s)
            if look_s > time.monotonic():
                _wait_until(look_s, wait)
                delay_s = self._delay(at)
            if delay_s <= TOLERANCE_S:
                leaves_s = self._clock.latest_s(at) + delay_s
                _wait_until(leaves_s, wait)
                if time.monotonic() - leaves_s <= TOLERANCE_S:
                    return at
            self._execute(_GIVE_BACK, at=at)

    def _delay(self, at: datetime) -> float:
        """Return by how many seconds a request has to be delayed; infinity in a pause."""
        sent_s = time.monotonic()
        look = self._one(_LAST_LOOK, at=at)
        if look is None:
            return math.inf
        self._clock.learn(sent_s, time.monotonic(), look[1])
        return float(look[0])

    def await_pause_end(self, wait: Callable[[float], None]) -> BudgetState:
        """Wait for the end of a pause; call it before connecting, as connections go stale.

        Raises:
            PausedForLong: as `departure`.
        """
        while (state := self.read()).pause_left_s > 0:
            if state.pause_left_s > MAX_PATIENCE_S:
                raise PausedForLong(state.pause_left_s)
            wait(min(state.pause_left_s, 1.0))
        return state

    def read(self) -> BudgetState:
        """Return the state; a source without a row has no pause."""
        row = self._one(
            "SELECT greatest(extract(epoch FROM paused_until - clock_timestamp()), 0)::float8,"
            " failures FROM api_budget WHERE source = %(source)s"
        )
        # After a clock was set back, a pause must not last longer than the longest one.
        return (
            BudgetState(row[0] if row[0] <= MAX_PAUSE_S else 0.0, row[1]) if row else BudgetState()
        )

    def pause(self, seconds: float) -> None:
        """Let no request leave for so long; a longer pause stays."""
        self._change(
            "paused_until = greatest(paused_until, clock_timestamp() + %(span)s)",
            span=timedelta(seconds=min(max(seconds, 0.0), MAX_PAUSE_S)),
        )

    def count_failure(self) -> None:
        """Count one more failure in a row; MAX_FAILURES of them open the circuit."""
        self._change("failures = failures + 1")

    def count_success(self) -> None:
        """End a row of failures; write nothing if there is none."""
        self._execute(
            "UPDATE api_budget SET failures = 0 WHERE source = %(source)s AND failures > 0"
        )

    def allow_probe(self) -> None:
        """Half-open the circuit: allow one request; another failure opens it again."""
        self._execute(
            f"UPDATE api_budget SET failures = {MAX_FAILURES - 1}"
            f" WHERE source = %(source)s AND failures >= {MAX_FAILURES}"
        )

    def _reserve(self, wait: Callable[[float], None]) -> datetime:
        while True:
            sent_s = time.monotonic()
            row = self._one(_RESERVE, lead=timedelta(seconds=self._clock.lead_s))
            if row:
                self._clock.learn(sent_s, time.monotonic(), row[1])
                at: datetime = row[0]
                return at
            if not self._make_row() and not self._execute(_FORGET_IMPOSSIBLE):
                self.await_pause_end(wait)
                wait(min(self._interval_s, MAX_AHEAD_S))

    def _make_row(self) -> int:
        return self._execute(
            "INSERT INTO api_budget (source) VALUES (%(source)s) ON CONFLICT DO NOTHING"
        )

    def _change(self, change: str, **values: object) -> None:
        self._make_row()
        self._execute(f"UPDATE api_budget SET {change} WHERE source = %(source)s", **values)

    def _execute(self, statement: str, **values: object) -> int:
        """Return how many rows the statement changed."""
        with translated():
            return self._connect().execute(statement.encode(), self._parameters | values).rowcount

    def _one(self, statement: str, **values: object) -> tuple[Any, ...] | None:
        with translated():
            cursor = self._connect().execute(statement.encode(), self._parameters | values)
            return cursor.fetchone()


class _DatabaseClock:
    """The difference between the database's clock and this process's monotonic one.

    The database's time in an answer lies between the statement's sending and the answer's arrival,
    so each statement narrows the difference. One that contradicts it shows that a clock was set.
    """

    def __init__(self) -> None:
        self._least_s, self._most_s = -math.inf, math.inf  # how far the database is ahead
        self._way_s = math.inf  # the shortest time from a statement to its answer

    def learn(self, sent_s: float, received_s: float, answered: datetime) -> None:
        least_s, most_s = answered.timestamp() - received_s, answered.timestamp() - sent_s
        if max(least_s, self._least_s) <= min(most_s, self._most_s):
            least_s, most_s = max(least_s, self._least_s), min(most_s, self._most_s)
        self._least_s, self._most_s = least_s, most_s
        self._way_s = min(received_s - sent_s, self._way_s)

    def earliest_s(self, moment: datetime) -> float:
        return moment.timestamp() - self._most_s

    def latest_s(self, moment: datetime) -> float:
        return moment.timestamp() - self._least_s

    @property
    def lead_s(self) -> float:
        """How long before a request leaves its departure has to be reserved."""
        way_s = 0.0 if math.isinf(self._way_s) else self._way_s
        return min(max(LEAD_S, 2 * way_s), LONGEST_LEAD_S)


def _wait_until(moment_s: float, wait: Callable[[float], None]) -> None:
    if (left_s := moment_s - time.monotonic()) > 0:
        wait(left_s)


def source_key(url: str) -> str:
    """Return `host:port/path`: the same source, however its URL is written."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.hostname}:{port}{parts.path.rstrip('/')}"
