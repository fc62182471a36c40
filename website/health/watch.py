"""The problems of the moment, kept for a few seconds: every page of an operator shows them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from time import monotonic

import sql
from website.config import Surroundings
from website.health.probes import ask_others
from website.rules.health import Facts, Problem, find_problems
from website.store.health import read_facts

KEPT_S = 15.0


def look(connection: sql.Connection, given: Surroundings, now: datetime) -> Facts:
    """Look at everything now."""
    return read_facts(connection, given.config.data_dir, ask_others(given), now)


class HealthWatch:
    """What was found at the last look, for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: list[Problem] = []
        self._until_s = 0.0

    def problems(self, look: Callable[[], Facts]) -> list[Problem]:
        """Return the problems; one thread at a time looks, others get what was found last."""
        if monotonic() >= self._until_s and self._lock.acquire(blocking=False):
            try:
                self.note(look())
            finally:
                self._lock.release()
        return self._problems

    def note(self, facts: Facts) -> None:
        """Keep what a look has found."""
        self._problems, self._until_s = find_problems(facts), monotonic() + KEPT_S
