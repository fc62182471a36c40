"""What counts as wrong, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from readers.channels.store import Counts
from sql.state.backlog import Backlog
from sql.state.source import Health as SourceHealth
from sql.state.workflows import SyncState
from website.rules.health import Facts, Others, Workflow, find_problems, list_steps

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def workflow(name: str = "chapter_feed", status: str = "completed", **facts: Any) -> Workflow:
    values: dict[str, Any] = {"last_run_at": ago(minutes=4), "last_success_at": ago(minutes=4)}
    values |= {"last_cursor": None, "error_message": None, "metadata": {}} | facts
    return Workflow(SyncState(name, status=status, **values), status, False)


WELL = Facts(
    now=NOW,
    workflows=[workflow()],
    source=SourceHealth(),
    backlog=Backlog(0, None, None),
    rejected_events=[],
    others=Others(41, 12, None),
    free_bytes=2**40,
    titles=150,
    readers=3,
)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({}, None),
        (
            {"workflows": [workflow(status="error", error_message="503\n from it")]},
            "chapter-feed failed: 503 from it",
        ),
        ({"channels": Counts(5, 1, 2, 0)}, None),
        (
            {"channels": Counts(5, 1, 2, 3)},
            "what is new has waited for more than 10 minutes to be sent to 3 channels",
        ),
        ({"workflows": [workflow(status="killed")]}, "chapter-feed was killed while it ran"),
        (
            {"workflows": [workflow(last_success_at=ago(hours=7))]},
            "chapter-feed has not succeeded since 2026-03-05 05:00 UTC",
        ),
        ({"workflows": [workflow(status="running", last_success_at=ago(hours=7))]}, None),
        ({"workflows": [workflow("chapter_check", last_success_at=ago(hours=25))]}, None),
        (
            {"workflows": [workflow("chapter_check", last_success_at=ago(hours=31))]},
            "chapter-check has not succeeded since 2026-03-04 05:00 UTC",
        ),
        ({"workflows": [workflow("initial_sync", last_success_at=ago(days=99))]}, None),
        ({"workflows": [workflow(last_run_at=None, last_success_at=None)]}, None),
        ({"backlog": Backlog(3, ago(minutes=30), "refused")}, None),
        (
            {"backlog": Backlog(3000, ago(hours=2), "refused")},
            "3,000 events are not delivered: refused",
        ),
        (
            {"backlog": Backlog(0, None, None, 2)},
            "the notification server has rejected 2 events",
        ),
        (
            {"source": SourceHealth("banned", "403", NOW, NOW + timedelta(hours=1))},
            "the source has banned this address until 2026-03-05 13:00 UTC: 403",
        ),
        ({"source": SourceHealth("trouble", "x" * 900)}, f"the source does not work: {'x' * 199}…"),
        (
            {"others": Others(None, 12, "does not answer")},
            "the notification server does not answer",
        ),
        ({"others": Others(1, None, None)}, "the stream process does not answer"),
        ({"free_bytes": 100 << 20}, "the data directory's disk has 100 MiB free"),
        ({"free_bytes": None}, None),
    ],
)
def test_a_problem_is_named_with_a_cure(change: dict[str, Any], what: str | None) -> None:
    found = find_problems(replace(WELL, **change))
    assert [problem.what for problem in found] == ([what] if what else [])
    assert all(problem.cure for problem in found)


def test_the_steps_of_a_new_installation_go_when_all_is_done() -> None:
    new = replace(WELL, titles=87, readers=0, workflows=[workflow(last_run_at=None)])
    steps = list_steps(new, 150)
    assert [(step.text, step.is_done) for step in steps] == [
        ("the database answers", True),
        ("its schema is current", True),
        ("titles: 87 of 150", False),
        ("timers run", False),
        ("there is a reader", False),
    ]
    assert list_steps(WELL, 150) == []
