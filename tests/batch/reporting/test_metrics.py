"""Figures for Prometheus: what stands in the files, and that they never harm a run."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import sql
from batch.models import Summary
from batch.reporting import metrics
from batch.reporting.metrics import RunFigures, StateFigures
from batch.store.locks import take_lock
from mangadex_sim import Simulator
from sql.state.backlog import Backlog
from sql.state.source import Health
from sql.state.workflows import SyncState

Simulators = Callable[..., Simulator]
Batch = Callable[..., Any]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def samples(path: Path) -> dict[str, float]:
    """`name` or `name{value of its labels}` → value."""
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}".replace("{}", ""): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


@pytest.fixture
def folder(home: Path) -> Path:
    made = home / "metrics"
    made.mkdir()
    return made


def figures(exit_status: int = 0, **counts: Any) -> RunFigures:
    summary = Summary("chapter_feed", **counts)
    return RunFigures(summary, NOON, 10.0, exit_status, per_second=5)


def test_a_run_is_described_by_its_metrics(folder: Path) -> None:
    metrics.write_run(folder, figures(75, requests=20, rate_limited=2, failed=1))
    found = samples(folder / "mangahub_chapter_feed.prom")
    prefix = "mangahub_batch_last_run"
    assert found[f"{prefix}_timestamp_seconds{{chapter-feed}}"] == NOON.timestamp()
    assert found[f"{prefix}_duration_seconds{{chapter-feed}}"] == 10
    assert found[f"{prefix}_exit_status{{chapter-feed}}"] == 75
    assert found[f"{prefix}_requests{{chapter-feed}}"] == 20
    assert found[f"{prefix}_rate_limited{{chapter-feed}}"] == 2
    assert found[f"{prefix}_failed{{chapter-feed}}"] == 1
    assert found[f"{prefix}_budget_used_ratio{{chapter-feed}}"] == pytest.approx(0.4)


def test_counters_go_on_from_run_to_run(folder: Path) -> None:
    for code, requests in ((0, 3), (75, 4), (0, 5)):
        metrics.write_run(folder, figures(code, requests=requests, events=1))
    found = samples(folder / "mangahub_chapter_feed.prom")
    assert found["mangahub_batch_requests_total{chapter-feed}"] == 12
    assert found["mangahub_batch_events_total{chapter-feed}"] == 3
    assert found["mangahub_batch_runs_total{0,chapter-feed}"] == 2
    assert found["mangahub_batch_runs_total{75,chapter-feed}"] == 1
    assert found["mangahub_batch_last_run_requests{chapter-feed}"] == 5


@pytest.mark.parametrize("damage", ["", "no metrics\n", "\N{SNOWMAN} {{{\n", "a{b='c'} d\n"])
def test_a_damaged_file_begins_the_counters_anew(folder: Path, damage: str) -> None:
    path = folder / "mangahub_chapter_feed.prom"
    path.write_text(damage)
    metrics.write_run(folder, figures(requests=3))
    assert samples(path)["mangahub_batch_requests_total{chapter-feed}"] == 3


def test_bytes_that_are_no_text_begin_the_counters_anew(folder: Path) -> None:
    path = folder / "mangahub_chapter_feed.prom"
    path.write_bytes(b"\xff\xfe\x00")
    metrics.write_run(folder, figures(requests=3))
    assert samples(path)["mangahub_batch_requests_total{chapter-feed}"] == 3


def test_a_file_is_readable_for_all_and_leaves_no_draft(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        metrics.write_run(folder, figures())
    finally:
        os.umask(before)
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_file_that_cannot_be_replaced_leaves_no_draft(folder: Path) -> None:
    (folder / "mangahub_state.prom").mkdir()
    with pytest.raises(OSError):
        metrics.write_state(folder, StateFigures([], Health(), Backlog(0, None, None)))
    assert [path.name for path in folder.iterdir()] == ["mangahub_state.prom"]


def test_the_state_has_timestamps_instead_of_ages(folder: Path) -> None:
    refused: dict[str, object] = {"rejected": {"some id": {"reason": "no title"}}}
    rows = [
        SyncState("chapter_feed", NOON, NOON, "2026-01-31T11:00:00", "completed", None, refused),
        SyncState("metadata_refresh", NOON, NOON, None, "completed", None, {}),
        SyncState("chapter_check", None, None, None, "idle", None, {}),
    ]
    backlog = Backlog(7, NOON - timedelta(hours=2), "refused")
    metrics.write_state(folder, StateFigures(rows, Health("trouble"), backlog))
    found = samples(folder / "mangahub_state.prom")
    assert found["mangahub_batch_last_success_timestamp_seconds{chapter-feed}"] == NOON.timestamp()
    assert "mangahub_batch_last_success_timestamp_seconds{chapter-check}" not in found
    cursors = {key: value for key, value in found.items() if "cursor" in key}
    assert cursors == {
        "mangahub_batch_cursor_timestamp_seconds{chapter-feed}": NOON.timestamp() - 3600
    }
    assert found["mangahub_batch_rejected{chapter-feed}"] == 1
    assert found["mangahub_batch_events_owed"] == 7
    oldest = found["mangahub_batch_oldest_event_owed_timestamp_seconds"]
    assert oldest == NOON.timestamp() - 7200
    states = [found[f"mangahub_batch_source_state{{{s}}}"] for s in metrics.SOURCE_STATES]
    assert states == [0, 1, 0]


# --- the real program --------------------------------------------------------------------------


def test_a_run_writes_both_files_and_no_series_stands_in_two(
    simulator: Simulators, run_batch: Batch, environment: Callable[..., Any], folder: Path
) -> None:
    sim = simulator(titles=30, rate=0)
    sim.fail("429_retry_after", count=1)
    env = environment(sim) | {"MANGAHUB_METRICS_DIR": str(folder)}
    done = run_batch("initial-sync", "--count", "10", "--json", env=env)
    assert done.code == 0, done.stderr
    assert run_batch("metadata-refresh", env=env).code == 0
    files = {path.name: samples(path) for path in folder.iterdir()}
    names = ["mangahub_initial_sync.prom", "mangahub_metadata_refresh.prom", "mangahub_state.prom"]
    assert sorted(files) == names
    series = [name for found in files.values() for name in found]
    assert len(series) == len(set(series))
    initial = files["mangahub_initial_sync.prom"]
    assert initial["mangahub_batch_last_run_requests{initial-sync}"] == done.json["requests"] == 2
    assert initial["mangahub_batch_last_run_rate_limited{initial-sync}"] == 1
    assert done.json["rate_limited"] == 1
    assert initial["mangahub_batch_manga_new_total{initial-sync}"] == 10


def test_a_source_that_is_down_is_exit_status_75(
    simulator: Simulators, run_batch: Batch, environment: Callable[..., Any], folder: Path
) -> None:
    sim = simulator(titles=30, rate=0)
    sim.fail("403_html_ban")
    env = environment(sim) | {"MANGAHUB_METRICS_DIR": str(folder)}
    assert run_batch("new-manga-poll", env=env).code == 75
    found = samples(folder / "mangahub_new_manga_poll.prom")
    assert found["mangahub_batch_last_run_exit_status{new-manga-poll}"] == 75
    state = samples(folder / "mangahub_state.prom")
    assert state["mangahub_batch_source_state{banned}"] == 1


def test_a_database_outage_is_in_the_runs_own_file(run_batch: Batch, folder: Path) -> None:
    env = {
        "DATABASE_URL": "postgresql://reader:hidden@127.0.0.1:9/mangahub",
        "MANGAHUB_METRICS_DIR": str(folder),
    }
    done = run_batch("chapter-feed", env=env)
    assert done.code == 75
    assert len(done.stderr.splitlines()) == 1
    (path,) = folder.iterdir()
    assert samples(path)["mangahub_batch_last_run_exit_status{chapter-feed}"] == 75


def test_a_run_that_is_stopped_has_its_signal(
    simulator: Simulators,
    start_program: Callable[..., Any],
    environment: Callable[..., Any],
    folder: Path,
) -> None:
    sim = simulator(titles=1000, rate=0)
    env = environment(sim, RATE_PER_SECOND="2") | {"MANGAHUB_METRICS_DIR": str(folder)}
    process = start_program("batch", "initial-sync", "--count", "1000", env=env)
    assert any("page=" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    found = samples(folder / "mangahub_initial_sync.prom")
    assert found["mangahub_batch_last_run_exit_status{initial-sync}"] == 143


def test_a_run_that_another_one_kept_from_beginning_is_none(
    simulator: Simulators,
    run_batch: Batch,
    environment: Callable[..., Any],
    connection: sql.Connection,
    folder: Path,
) -> None:
    take_lock(connection, "chapter_feed")
    env = environment(simulator(titles=10, rate=0)) | {"MANGAHUB_METRICS_DIR": str(folder)}
    assert run_batch("chapter-feed", env=env).code == 75
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", ["missing", "file", "read-only"])
def test_a_directory_that_cannot_be_written_to_is_one_warning_and_no_failure(
    simulator: Simulators,
    run_batch: Batch,
    environment: Callable[..., Any],
    home: Path,
    place: str,
) -> None:
    (home / "file").write_text("")
    path = {"missing": home / "missing", "file": home / "file", "read-only": Path("/proc")}[place]
    env = environment(simulator(titles=10, rate=0)) | {"MANGAHUB_METRICS_DIR": str(path)}
    done = run_batch("initial-sync", "--count", "5", env=env)
    assert done.code == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert f"metrics for Prometheus cannot be written to {path}: " in warnings[0]


def test_a_delivery_by_hand_tells_that_nothing_is_owed_any_more(
    run_batch: Batch, database_url: str, folder: Path
) -> None:
    env = {"DATABASE_URL": database_url, "MANGAHUB_METRICS_DIR": str(folder)}
    assert run_batch("relay", env=env).code == 0
    assert samples(folder / "mangahub_state.prom")["mangahub_batch_events_owed"] == 0
