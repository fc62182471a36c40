"""How a run's summary reads for people."""

from __future__ import annotations

from batch.models import Summary

_COUNTS = (
    ("manga_seen", "titles seen"),
    ("manga_new", "new"),
    ("manga_updated", "changed"),
    ("chapters_new", "new chapters"),
    ("events", "events"),
    ("failed", "failed"),
)


def summary_text(summary: Summary) -> str:
    """`initial-sync completed: 150 titles seen, 150 new; 2 requests in 0.8 s`."""
    name = summary.sync_type.replace("_", "-")
    if summary.status == "skipped":
        return f"{name} skipped: there is nothing to do"
    counts = [
        f"{getattr(summary, key):,} {words}"
        for key, words in _COUNTS
        if getattr(summary, key) or key == "manga_seen"
    ]
    cost = f"{summary.requests:,} requests in {summary.seconds:.1f} s"
    limited = f", {summary.rate_limited:,} answered with 429" if summary.rate_limited else ""
    return f"{name} {summary.status}: {', '.join(counts)}; {cost}{limited}"
