"""When a channel is sent what: at once, in a bundle, again later, or not any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from readers.channels.messages import Due

BUNDLE_AFTER = timedelta(minutes=2)
MOST_IN_BUNDLE = 200
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)
PATIENCE = timedelta(days=3)
# A server's own wait, however short, is believed so often.
_BELIEVED = 10
_LEAST_WAIT = timedelta(seconds=1)
_MOST_DOUBLINGS = 20


def size_of_message(due: Due, now: datetime) -> int:
    """Return how many notifications a new message may have."""
    if due.waits_since is None:
        return 0
    is_late = now - due.waits_since > BUNDLE_AFTER
    return MOST_IN_BUNDLE if due.is_digest or is_late else 1


def next_attempt(
    failures: int, failing_since: datetime, retry_after_s: float | None, now: datetime
) -> datetime | None:
    """Return when a message is tried again; None if its channel is to be paused.

    Args:
        failures: attempts that have failed, at least 1.
        retry_after_s: how long the server asks to wait, which comes first.
    """
    if now - failing_since >= PATIENCE:
        return None
    doublings = min(failures - 1, _MOST_DOUBLINGS)
    wait: timedelta = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
    if retry_after_s is not None:
        asked = min(max(timedelta(seconds=retry_after_s), _LEAST_WAIT), PATIENCE)
        wait = asked if failures <= _BELIEVED else max(asked, wait)
    return now + wait


@dataclass(frozen=True, slots=True)
class Lanes:
    """How many deliveries may be under way, so that what hangs leaves room for others.

    Attributes:
        most: in all.
        of_server: to one server.
        failing: to channels whose last attempt failed.
    """

    most: int

    @property
    def of_server(self) -> int:
        return max(1, self.most // 2)

    @property
    def failing(self) -> int:
        return max(1, self.most // 4)


def choose(due: list[Due], under_way: list[Due], lanes: Lanes) -> list[Due]:
    """Return those of the due channels, in their order, that are sent something now."""
    chosen: list[Due] = []
    for each in due:
        running = [*under_way, *chosen]
        if len(running) >= lanes.most:
            break
        if sum(other.server == each.server for other in running) >= lanes.of_server:
            continue
        if each.attempts and sum(other.attempts > 0 for other in running) >= lanes.failing:
            continue
        chosen.append(each)
    return chosen
