"""Forty kill -9 of all programs, by a seed; `python -m bench.campaign` makes it any number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mangadex_sim import Simulator
from tests.support.campaign import SETTINGS, Campaign

KILLS = 40
SEED = 20260301


@pytest.mark.slow
def test_readers_notice_nothing_of_forty_kills(
    make_hub: Callable[..., Any],
    make_readers: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
) -> None:
    sim = simulator(titles=0, rate=0, latency_s=0.01)
    hub = make_hub(sim, database_url, **SETTINGS)
    outcome = Campaign(hub, SEED, make_readers).run(KILLS)
    assert (outcome.lost, outcome.twice) == ([], [])
    assert outcome.told > KILLS
