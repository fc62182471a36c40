"""A running simulator per test, and the means to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from mangadex_sim import Simulator

AGENT = "sim-tests/1.0 (tests@example.org)"


class Asker:
    """Asks one simulator over one keep-alive session."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.session = requests.Session()
        self.session.headers["User-Agent"] = AGENT

    def get(self, target: str, **how: Any) -> requests.Response:
        """GET a path with its query as written."""
        return self.session.get(self.sim.url + target, timeout=10, **how)

    def json(self, target: str) -> dict[str, Any]:
        """GET a path that must answer 200."""
        response = self.get(target)
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    def detail(self, target: str) -> str:
        """GET a path that must answer 400 JSON; return the sentence."""
        response = self.get(target)
        assert response.status_code == 400, response.text
        return str(response.json()["errors"][0]["detail"])


@pytest.fixture
def make_sim() -> Iterator[Callable[..., Asker]]:
    """Start simulators, without the rate rule unless it is asked for; stop them at the end."""
    started: list[Asker] = []

    def make(**settings: Any) -> Asker:
        sim = Simulator(**{"titles": 60, "rate": 0, **settings})
        sim.start()
        started.append(Asker(sim))
        return started[-1]

    yield make
    for each in started:
        each.session.close()
        each.sim.stop()


@pytest.fixture
def asker(make_sim: Callable[..., Asker]) -> Asker:
    """A simulator of 60 titles without a rate rule."""
    return make_sim()
