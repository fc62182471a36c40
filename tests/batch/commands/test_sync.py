"""A run's summary, for people and as JSON."""

from __future__ import annotations

import json

import pytest

from batch.commands.sync import summary_text
from batch.models import Summary


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        (
            Summary("initial_sync", requests=2, manga_seen=150, manga_new=150, seconds=0.84),
            "initial-sync completed: 150 titles seen, 150 new; 2 requests in 0.8 s",
        ),
        (
            Summary("chapter_feed", chapters_new=1_234, events=12, failed=1, requests=1_000),
            "chapter-feed completed: 0 titles seen, 1,234 new chapters, 12 events, 1 rejected;"
            " 1,000 requests in 0.0 s",
        ),
        (Summary("initial_sync", status="skipped"), "initial-sync skipped: there is nothing to do"),
        (
            Summary("new_manga_poll", status="error", manga_updated=3),
            "new-manga-poll error: 0 titles seen, 3 changed; 0 requests in 0.0 s",
        ),
    ],
    ids=["initial-sync", "chapter-feed", "skipped", "error"],
)
def test_a_summary_reads_as_a_sentence(summary: Summary, text: str) -> None:
    assert summary_text(summary) == text


def test_the_json_has_what_the_contract_promises_and_what_a_job_adds() -> None:
    summary = Summary("chapter_check", seconds=1.5, extra={"due": 3})
    found = json.loads(json.dumps(summary.as_json()))
    promised = {
        "sync_type": "chapter_check",
        "status": "completed",
        "requests": 0,
        "manga_seen": 0,
        "manga_new": 0,
        "manga_updated": 0,
        "chapters_new": 0,
        "events": 0,
        "failed": 0,
        "seconds": 1.5,
    }
    assert promised.items() <= found.items()
    assert found["due"] == 3
    assert "extra" not in found
