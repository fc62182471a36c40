"""Which of a reader's titles stand beside what is new, and in which order a library is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Protocol, TypeVar

from website.rules.prediction import Prediction

MOST_NEXT, MOST_LATE = 6, 3
_AHEAD = timedelta(days=14)
_NEVER = date.max


class HasNext(Protocol):
    """Whatever is expected."""

    @property
    def next(self) -> Prediction: ...


T = TypeVar("T", bound=HasNext)


def choose_next(titles: Iterable[T], today: date) -> list[T]:
    """Return the titles that are expected within two weeks, soonest first; then late ones."""
    by_day = sorted(titles, key=lambda title: order_of(title.next))
    soon = [t for t in by_day if _is_ahead(t.next) and order_of(t.next) <= today + _AHEAD]
    late = [t for t in by_day if t.next.state == "late"]
    return soon[:MOST_NEXT] + late[-MOST_LATE:]


def order_of(found: Prediction) -> date:
    """Return the day by which titles are ordered: those of which nothing is known come last."""
    return (found.expected if found.state != "hiatus" else None) or _NEVER


def _is_ahead(found: Prediction) -> bool:
    return found.state in ("likely", "maybe", "irregular")
