"""Entries of a feed that cannot be read: they make no history into news, and hold up no title."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batch.models import Summary
from mangadex_sim import Simulator

RunJob = Callable[..., Summary]
Track = Callable[..., list[str]]
Payloads = Callable[[], list[tuple[str, dict[str, Any]]]]
Ago = Callable[..., str]

JOBS = ("chapter_feed", "chapter_check")
SPOILED = {"paths": "/manga/*/feed"}


@pytest.fixture
def title(sim: Simulator, track: Track, long_ago: Ago) -> str:
    """A title with nine chapters from before it was tracked, and a tenth since."""
    (title,) = track()
    for number in range(1, 10):
        sim.publish(title, number=str(number), readableAt=long_ago(days=20 - number))
    sim.publish(title, number="10", readableAt=long_ago(hours=3))
    sim.reset()
    return title


@pytest.fixture
def spoil(sim: Simulator, title: str) -> Callable[..., None]:
    """`spoil(job, count=1)`: the ninth chapter of the feed, as the job orders it, comes spoiled."""

    def spoil(job: str, *, count: int | None) -> None:
        sim.heal()
        place = 8 if job == "chapter_feed" else 1
        sim.fail("chapter_without_attributes", position=place, count=count, **SPOILED)

    return spoil


@pytest.mark.parametrize("job", JOBS)
def test_the_highest_old_chapter_is_no_news_because_it_could_not_be_read_once(
    spoil: Callable[..., None], run_job: RunJob, payloads: Payloads, job: str
) -> None:
    spoil(job, count=1)
    assert run_job(job).events == 0
    for _ in range(2):
        run_job("chapter_check")
        run_job("chapter_feed")
    assert payloads() == [("new-chapter", {"chapter": 10, "old_chapter": 9})]


@pytest.mark.parametrize("job", JOBS)
def test_a_chapter_that_can_never_be_read_does_not_hold_up_the_others(
    spoil: Callable[..., None], run_job: RunJob, payloads: Payloads, job: str
) -> None:
    spoil(job, count=None)
    assert run_job(job).events == 0
    spoil("chapter_check", count=None)
    run_job("chapter_check")
    assert payloads() == [("new-chapter", {"chapter": 10, "old_chapter": 8})]
    assert run_job("chapter_check").manga_seen == 0
