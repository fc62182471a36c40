"""Metrics of the batch for Prometheus: text files for node_exporter's textfile collector.

    mangahub_<workflow>.prom   the last run, and counters that continue from the file's old values
    mangahub_state.prom        the state of all workflows, the outbox and the source

What all workflows share has a file of its own: node_exporter rejects all files if one series is in
two of them. Moments are exported as timestamps, and Prometheus computes their age.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from batch.models import Summary
from sql import Connection
from sql.state import backlog, source, workflows
from sql.state.backlog import Backlog
from sql.state.source import Health
from sql.state.workflows import SyncState, command_name, read_cursor

PREFIX = "mangahub_batch"
STATE_FILE = "mangahub_state.prom"
SOURCE_STATES = ("well", "trouble", "banned")

# Fields of a summary: each is a counter over all runs, and a gauge of the last one.
_COUNTS = {
    "requests": "Requests to the source, retries included.",
    "rate_limited": "Requests that the source answered with 429, or what it sends instead.",
    "manga_seen": "Titles read.",
    "manga_new": "Titles imported.",
    "manga_updated": "Titles whose stored data changed.",
    "chapters_new": "Chapters stored.",
    "events": "Events written to the outbox.",
    "failed": "Titles and chapters that could not be stored.",
}

Labels = tuple[tuple[str, str], ...]
Samples = dict[tuple[str, Labels], float]


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A run that is over.

    Attributes:
        exit_status: the program's exit code.
        per_second: the budget of requests.
    """

    summary: Summary
    started_at: datetime
    seconds: float
    exit_status: int
    per_second: float


@dataclass(frozen=True, slots=True)
class StateFigures:
    """The state of the workflows, the source and the outbox."""

    workflows: list[SyncState]
    source: Health
    backlog: Backlog


def read_state(connection: Connection) -> StateFigures:
    return StateFigures(
        workflows.read_all(connection),
        source.read_source(connection),
        backlog.read_backlog(connection),
    )


def write_run(folder: Path, run: RunFigures) -> None:
    """Replace the workflow's file.

    Raises:
        OSError: the directory does not exist, or cannot be written to.
    """
    path = folder / f"mangahub_{run.summary.sync_type}.prom"
    _replace(path, _render(_run_metrics(run, _read_totals(path))))


def write_state(folder: Path, figures: StateFigures) -> None:
    """Replace the file that all workflows share; the last run to end overwrites it.

    Raises:
        OSError: as write_run.
    """
    _replace(folder / STATE_FILE, _render(_state_metrics(figures)))


def _run_metrics(run: RunFigures, before: Samples) -> Iterator[Metric]:
    workflow = command_name(run.summary.sync_type)
    affordable = max(run.seconds * run.per_second, 1)
    for name, text, value in (
        ("timestamp_seconds", "When it began.", run.started_at.timestamp()),
        ("duration_seconds", "How long it took.", run.seconds),
        ("exit_status", "Its exit code.", run.exit_status),
        ("budget_per_second", "Requests that all runs together may make.", run.per_second),
        (
            "budget_used_ratio",
            "Requests, as a part of those that the budget allowed in that time.",
            run.summary.requests / affordable,
        ),
        *((name, text, getattr(run.summary, name)) for name, text in _COUNTS.items()),
    ):
        yield _gauge(f"last_run_{name}", f"The last run: {text}", "workflow", {workflow: value})
    yield from _run_counters(run, workflow, before)


def _run_counters(run: RunFigures, workflow: str, before: Samples) -> Iterator[Metric]:
    labels: Labels = (("workflow", workflow),)
    for name, text in _COUNTS.items():
        total = before.get((f"{PREFIX}_{name}_total", labels), 0) + getattr(run.summary, name)
        yield _counter(name, text, {labels: total})
    runs = {key: total for (name, key), total in before.items() if name == f"{PREFIX}_runs_total"}
    labels = (("exit_status", str(run.exit_status)), *labels)
    yield _counter("runs", "Runs, by their exit code.", runs | {labels: runs.get(labels, 0) + 1})


def _state_metrics(figures: StateFigures) -> Iterator[Metric]:
    rows = {command_name(row.sync_type): row for row in figures.workflows}
    yield _moments(
        "last_success_timestamp_seconds",
        "When the last good run ended.",
        {key: row.last_success_at for key, row in rows.items()},
    )
    yield _moments(
        "cursor_timestamp_seconds",
        "Up to when the source has been read, by workflows whose cursor is a time.",
        {key: read_cursor(row.last_cursor) for key, row in rows.items()},
    )
    rejected = {key: len(row.rejected) for key, row in rows.items()}
    yield _gauge("rejected", "Titles and chapters that cannot be stored.", "workflow", rejected)
    states = {name: name == figures.source.state for name in SOURCE_STATES}
    yield _gauge("source_state", "1 for how the source is doing.", "state", states)
    yield from _backlog_metrics(figures.backlog)


def _backlog_metrics(backlog: Backlog) -> Iterator[Metric]:
    name = f"{PREFIX}_events_owed"
    yield GaugeMetricFamily(name, "Events that are not delivered yet.", value=backlog.count)
    if backlog.oldest_at is not None:
        name = f"{PREFIX}_oldest_event_owed_timestamp_seconds"
        moment = backlog.oldest_at.timestamp()
        yield GaugeMetricFamily(name, "When the oldest of them was written.", value=moment)


def _moments(name: str, text: str, moments: Mapping[str, datetime | None]) -> Metric:
    known = {key: moment.timestamp() for key, moment in moments.items() if moment}
    return _gauge(name, text, "workflow", known)


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family


def _counter(name: str, text: str, totals: Mapping[Labels, float]) -> Metric:
    """Return a counter; labels are in the order of their names, and the same in all."""
    names = [name for name, _ in next(iter(totals))]
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=names)
    for labels, total in totals.items():
        family.add_metric([value for _, value in labels], total)
    return family


class _Fixed(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _render(metrics: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Fixed(list(metrics)))
    return generate_latest(registry)


def _read_totals(path: Path) -> Samples:
    """Return the counters of a file; none if it is missing or damaged: they start at 0 then."""
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if family.type == "counter"
    }


def _replace(path: Path, content: bytes) -> None:
    """Replace the file atomically, readable for all. Drafts do not end in .prom."""
    handle, draft = tempfile.mkstemp(prefix=f".{path.stem}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
