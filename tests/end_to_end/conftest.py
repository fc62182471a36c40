"""Everything for real: the stand-in source, PostgreSQL, the server, the batch and listeners."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mangadex_sim import Simulator
from tests.support.hub import Hub
from tests.support.readers import Readers


@pytest.fixture
def make_hub(
    run_program: Callable[..., Any], start_program: Callable[..., Any], home: Path, tmp_path: Path
) -> Iterator[Callable[..., Hub]]:
    """`make_hub(sim, database_url)` → Hub; listeners are ended after the test."""
    hubs: list[Hub] = []

    def make(sim: Simulator, database_url: str, **settings: str) -> Hub:
        env = {
            "DATABASE_URL": database_url,
            "MANGADEX_API_URL": sim.url,
            "MANGA_SYNC_RATE_PER_SECOND": "200",
            "UDP_SERVER_URL": "http://127.0.0.1:9",
            "NOTIFY_SECRET": "a secret for tests, long enough",
        }
        hubs.append(Hub(sim, env | settings, run_program, start_program, tmp_path))
        return hubs[-1]

    yield make
    for listener in [each for hub in hubs for each in hub.listeners]:
        listener.close()


@pytest.fixture
def make_readers() -> Iterator[Callable[..., Readers]]:
    """`make_readers(hub)`: one client of every user; closed after the test."""
    made: list[Readers] = []

    def make(hub: Hub) -> Readers:
        made.append(Readers(hub.udp, json.loads(hub.notify("key", "--all", "--json"))))
        return made[-1]

    yield make
    for readers in made:
        readers.close()
