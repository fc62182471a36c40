"""The budget of requests to one source, shared by all that use the database.

A request's departure is reserved by one statement on the database's clock. Nothing is held while
sending: a caller that hangs or is killed costs its one departure and holds up nobody. A caller that
wakes up too late reserves anew, so that no two requests move closer than they were reserved.

Two rules give the moment, for 5 a second: a request leaves 0.17 s after the last one at the
earliest, and 1.02 s after the fifth last. The first alone is the even pace. The second keeps the
promise of five in any second; its 20 ms are room for late departures and for the way to the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sql.connection import Connection, translated
from sql.errors import PausedForLong

SPACING = 1.02  # of the window of a second; see above
EVENNESS = 0.85  # of the even distance, the least between two departures
TOLERANCE_S = 0.008  # how late a request may leave; the rest of SPACING's room is for its way
MAX_AHEAD_S = 1.5  # so far ahead can be reserved: nobody waits longer for callers that have died
MAX_PATIENCE_S = 120.0  # a longer pause ends the run: a timer's next one comes soon enough
MAX_PAUSE_S = 86_400.0  # the longest ban; more than that is a clock that was set back
MAX_FAILURES = 10  # in a row, over all callers: then the source is in trouble, not one request
_WINDOW = 16  # departures that are remembered, as in the column's default
_LAST_LOOK_S = 0.02  # before the departure: whether somebody has asked for a pause meanwhile

_DUE = (
    "greatest(clock_timestamp(),"
    f" departures[{_WINDOW}] + %(least_gap)s * interval '1 s',"
    f" departures[{_WINDOW} + 1 - %(window)s] + %(window_s)s * interval '1 s',"
    " bucket_full_at - %(bucket_slack)s * interval '1 s')"
)
# set_config: a reservation need not survive a crash of the server, and waits for no disk.
_RESERVE = (
    f"UPDATE api_budget SET departures = departures[2:] || {_DUE},"
    f" bucket_full_at = greatest(bucket_full_at, {_DUE}) + %(interval)s * interval '1 s'"
    " FROM set_config('synchronous_commit', 'off', true)"
    " WHERE source = %(source)s AND paused_until <= clock_timestamp()"
    f" AND {_DUE} <= clock_timestamp() + {MAX_AHEAD_S} * interval '1 s'"
    f" RETURNING extract(epoch FROM departures[{_WINDOW}])::float8,"
    " extract(epoch FROM clock_timestamp())::float8"
)
# What lies further ahead than it can was written before the database's clock was set back.
_FORGET_IMPOSSIBLE = (
    "UPDATE api_budget SET departures = DEFAULT, bucket_full_at = DEFAULT,"
    f" paused_until = least(paused_until, clock_timestamp() + {MAX_PAUSE_S} * interval '1 s')"
    f" WHERE source = %(source)s AND (departures[{_WINDOW}]"
    f" > clock_timestamp() + {MAX_AHEAD_S + 1} * interval '1 s'"
    f" OR paused_until > clock_timestamp() + {MAX_PAUSE_S + 1} * interval '1 s')"
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a source may be asked.

    Attributes:
        per_second: requests a second.
        burst: how many may leave at once after a rest; 1 paces evenly and keeps `per_second` in
            any second, more is a token bucket of that capacity.
    """

    per_second: float
    burst: int = 1

    def parameters(self) -> dict[str, float]:
        interval_s = 1 / self.per_second
        if self.burst > 1:
            slack_s = (self.burst - 1) * interval_s
            gaps = {"least_gap": 0.0, "window": 1, "window_s": 0.0, "bucket_slack": slack_s}
            return gaps | {"interval": interval_s}
        window = min(max(int(self.per_second), 1), _WINDOW)
        return {
            "least_gap": EVENNESS * interval_s,
            "window": window,
            "window_s": SPACING * window * interval_s,
            "bucket_slack": MAX_PAUSE_S,  # the bucket plays no part
            "interval": interval_s,
        }


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What everybody has to know before asking.

    Attributes:
        pause_left_s: how long nobody may ask; 0 where there is no pause.
        failures: failures in a row of all callers.
    """

    pause_left_s: float = 0.0
    failures: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: the source keeps failing, and should be left alone."""
        return self.failures >= MAX_FAILURES


class Budget:
    """The requests of one process to one source.

    Args:
        connect: gives a live autocommit connection that is in no transaction.
        source: the base URL; another address has another budget.
        pace: the same for all callers of the source.

    All methods raise DatabaseDown where the database is away: without it nothing may be asked.
    """

    def __init__(self, connect: Callable[[], Connection], source: str, pace: Pace) -> None:
        self._connect = connect
        self._parameters: dict[str, object] = {**pace.parameters(), "source": source_key(source)}
        self._interval_s = 1 / pace.per_second
        self._clock = _DatabaseClock()

    def await_departure(self, wait: Callable[[float], None]) -> None:
        """Reserve a departure and wait for it; the caller has to send at once.

        Args:
            wait: sleeps so many seconds, or raises to end the waiting.

        Raises:
            PausedForLong: the source asked for a pause that is longer than MAX_PATIENCE_S.
        """
        while True:
            departs_s = self._reserve(wait)
            if (early_s := departs_s - time.monotonic() - _LAST_LOOK_S) > 0:
                wait(early_s)
                if self.read().pause_left_s > 0:
                    continue
            if (left_s := departs_s - time.monotonic()) > 0:
                wait(left_s)
            if time.monotonic() - departs_s <= TOLERANCE_S:
                return

    def await_pause_end(self, wait: Callable[[float], None]) -> BudgetState:
        """Wait while nobody may ask; to be called before connecting, as connections go stale.

        Raises:
            PausedForLong: as `await_departure`.
        """
        while (state := self.read()).pause_left_s > 0:
            if state.pause_left_s > MAX_PATIENCE_S:
                raise PausedForLong(state.pause_left_s)
            wait(min(state.pause_left_s, 1.0))
        return state

    def read(self) -> BudgetState:
        """Return what everybody has to know; a source that was never asked has no pause."""
        row = self._one(
            "SELECT greatest(extract(epoch FROM paused_until - clock_timestamp()), 0)::float8,"
            " failures FROM api_budget WHERE source = %(source)s"
        )
        # A clock that was set back must not make a pause longer than any can be.
        return (
            BudgetState(row[0] if row[0] <= MAX_PAUSE_S else 0.0, row[1]) if row else BudgetState()
        )

    def pause(self, seconds: float) -> None:
        """Let nobody ask the source for so long; a longer pause stays."""
        self._change(
            "paused_until = greatest(paused_until, clock_timestamp() + %(span)s * interval '1 s')",
            span=min(max(seconds, 0.0), MAX_PAUSE_S),
        )

    def count_failure(self) -> None:
        """Count one more failure in a row; MAX_FAILURES of them open the circuit."""
        self._change("failures = failures + 1")

    def count_success(self) -> None:
        """End a row of failures; writes nothing where there is none."""
        self._execute(
            "UPDATE api_budget SET failures = 0 WHERE source = %(source)s AND failures > 0"
        )

    def allow_probe(self) -> None:
        """Half-open the circuit: one request may be tried, and one more failure opens it again."""
        self._execute(
            f"UPDATE api_budget SET failures = {MAX_FAILURES - 1}"
            f" WHERE source = %(source)s AND failures >= {MAX_FAILURES}"
        )

    def _reserve(self, wait: Callable[[float], None]) -> float:
        """Return the reserved moment, in monotonic seconds of this process."""
        while True:
            sent_s = time.monotonic()
            row = self._one(_RESERVE)
            if row:
                self._clock.learn(sent_s, time.monotonic(), row[1])
                return self._clock.monotonic_s(row[0])
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

    def _one(self, statement: str) -> tuple[Any, ...] | None:
        with translated():
            return self._connect().execute(statement.encode(), self._parameters).fetchone()


class _DatabaseClock:
    """The distance between the database's clock and this process's monotonic one.

    A moment that the database tells lies between a statement's sending and its answer. The
    narrowest such span is kept, until one comes that it contradicts: a clock has been set.
    """

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._span_s = float("inf")

    def learn(self, sent_s: float, received_s: float, told_s: float) -> None:
        least_s, most_s = told_s - received_s, told_s - sent_s
        is_contradicted = not least_s <= self._ahead_s <= most_s
        if is_contradicted or most_s - least_s < self._span_s:
            self._ahead_s, self._span_s = (least_s + most_s) / 2, most_s - least_s

    def monotonic_s(self, moment_s: float) -> float:
        return moment_s - self._ahead_s


def source_key(url: str) -> str:
    """Return `host:port/path`: the same source, however its URL is written."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.hostname}:{port}{parts.path.rstrip('/')}"
