"""What stands beside what is new: soon, in order, and what is late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from website.rules.prediction import Prediction, State
from website.rules.upcoming import choose_next, order_of

TODAY = date(2026, 12, 3)


@dataclass(frozen=True)
class Title:
    """A title of which something is expected."""

    name: str
    next: Prediction


def title(name: str, state: State, in_days: int | None) -> Title:
    day = None if in_days is None else TODAY + timedelta(days=in_days)
    return Title(name, Prediction(state, "", day, day, day))


def test_what_comes_soon_stands_first_and_late_ones_below() -> None:
    titles = [
        title("far", "likely", 15),
        title("friday", "maybe", 1),
        title("late", "late", -5),
        title("unknown", "unknown", None),
        title("hiatus", "hiatus", -90),
        title("today", "likely", 0),
        title("irregular", "irregular", 14),
    ]
    assert [t.name for t in choose_next(titles, TODAY)] == ["today", "friday", "irregular", "late"]


def test_no_more_than_fit_beside_the_list() -> None:
    titles = [title(f"{n}", "likely", n) for n in range(9)]
    titles += [title(f"late {n}", "late", -n) for n in range(1, 9)]
    chosen = [t.name for t in choose_next(titles, TODAY)]
    assert chosen == ["0", "1", "2", "3", "4", "5", "late 3", "late 2", "late 1"]


@pytest.mark.parametrize("state", ["unknown", "hiatus"])
def test_what_nobody_expects_comes_last(state: State) -> None:
    last = order_of(title("x", state, None if state == "unknown" else -90).next)
    assert last > order_of(title("y", "irregular", 400).next)
