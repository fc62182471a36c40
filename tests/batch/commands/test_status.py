"""`status`: the last run of each workflow, what failed, and what the tables hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import sql
from batch.commands import status
from batch.models import Rejected
from batch.store import rejections, sync_state
from batch.store.locks import take_lock
from mangadex_sim import Simulator
from sql.state.source import Health
from sql.state.workflows import SyncState

NOW = datetime.now(UTC)


def show(connection: sql.Connection) -> tuple[dict[str, Any], list[str]]:
    """As JSON, and the lines for people."""
    facts = status.read_everything(connection)
    data: dict[str, Any] = status.as_json(facts)
    return data, status.as_lines(facts)


def line_of(lines: list[str], workflow: str) -> str:
    [line] = [line for line in lines if line.startswith(f"{workflow} ")]
    return line


def test_a_fresh_database_has_workflows_that_never_ran(connection: sql.Connection) -> None:
    data, lines = show(connection)
    assert list(data["workflows"]) == [
        "initial_sync", "new_manga_poll", "chapter_check", "chapter_feed", "metadata_refresh",
        "fetch_wanted",
    ]  # fmt: skip
    assert {w["status"] for w in data["workflows"].values()} == {"idle"}
    assert data["counts"]["manga"] == data["events_owed"] == 0
    assert line_of(lines, "chapter-feed").split() == ["chapter-feed", "idle", "never", "never", "-"]
    assert lines[-1] == (
        "0 manga, 0 chapters, 0 genres, 0 users, 0 user_library, 0 notifications; 0 events owed"
    )


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_run_that_holds_no_lock_was_killed(
    connection: sql.Connection, database_url: str, is_alive: bool
) -> None:
    sync_state.begin(connection, "chapter_feed", NOW)
    with sql.connect(database_url) as run:
        if is_alive:
            take_lock(run, "chapter_feed")
        data, lines = show(connection)
    assert data["workflows"]["chapter_feed"]["status"] == ("running" if is_alive else "killed")
    told = "chapter-feed: the last run was killed; the next one continues from its cursor"
    assert (told in lines) == (not is_alive)


def test_a_run_that_failed_tells_why_on_one_line(connection: sql.Connection) -> None:
    sync_state.begin(connection, "chapter_check", NOW - timedelta(hours=3))
    sync_state.move_cursor(connection, "chapter_check", "page 7")
    sync_state.finish(
        connection, "chapter_check", "error", "it broke\nbadly", last_run={"requests": 5}
    )
    data, lines = show(connection)
    workflow = data["workflows"]["chapter_check"]
    assert (workflow["error"], workflow["cursor"]) == ("it broke\nbadly", "page 7")
    assert workflow["last_run"] == {"requests": 5}
    assert datetime.fromisoformat(workflow["last_run_at"]).tzinfo is not None
    assert line_of(lines, "chapter-check").endswith("3 h ago         never           page 7")
    assert "chapter-check: it broke badly" in lines


def test_what_could_not_be_stored_is_listed_up_to_a_number(connection: sql.Connection) -> None:
    refused = [Rejected(f"title {number:02}", "too long") for number in range(25)]
    rejections.record(connection, "initial_sync", refused, NOW)
    rejections.record(connection, "initial_sync", refused[:1], NOW)
    data, lines = show(connection)
    assert len(data["workflows"]["initial_sync"]["rejected"]) == 25
    listed = [line for line in lines if line.startswith("initial-sync: cannot store ")]
    assert len(listed) == status.MAX_LISTED
    assert "initial-sync: cannot store title 00: too long (try 2)" in listed
    assert "initial-sync: … and 5 more; --json lists them all" in lines


@pytest.mark.parametrize(
    "metadata", ["NULL", "'[]'", "'{\"rejected\": [1]}'", '\'{"rejected": {"a": 1}}\'']
)
def test_metadata_of_another_program_does_no_harm(
    connection: sql.Connection, metadata: str
) -> None:
    connection.execute(f"UPDATE sync_state SET metadata = {metadata}".encode())
    data, _ = show(connection)
    assert data["workflows"]["initial_sync"]["rejected"] == {}


def test_rows_are_counted_and_owed_events_too(connection: sql.Connection) -> None:
    connection.execute("INSERT INTO manga (title) SELECT 'x' FROM generate_series(1, 1234)")
    connection.execute(
        "INSERT INTO notification_events (dedup_key, type, payload, accepted_at)"
        " VALUES ('a', 'new-manga', '{}', NULL), ('b', 'new-manga', '{}', now())"
    )
    data, lines = show(connection)
    assert (data["counts"]["manga"], data["events_owed"]) == (1_234, 1)
    assert lines[-1].startswith("1,234 manga, ")
    assert lines[-1].endswith("; 1 events owed")


def test_events_that_the_server_rejected_are_named(connection: sql.Connection) -> None:
    connection.execute(
        "INSERT INTO notification_events (dedup_key, type, payload, rejected_at, last_error)"
        """ VALUES ('a', 'new-chapter', '{"title": "Tin"}', now(), '404: no manga')"""
    )
    data, lines = show(connection)
    rejected = {"event_id": "a", "type": "new-chapter", "title": "Tin", "error": "404: no manga"}
    assert (data["events_owed"], data["events_rejected"]) == (0, [rejected])
    assert "rejected by the server: new-chapter of Tin: 404: no manga" in lines


def test_a_big_table_is_not_counted_row_by_row(connection: sql.Connection) -> None:
    # What VACUUM would have found in a table of this size.
    connection.execute("UPDATE pg_class SET reltuples = 50000000 WHERE relname = 'chapters'")
    data, _ = show(connection)
    assert data["counts"]["chapters"] == 50_000_000


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-5), "0 s ago"),
        (timedelta(seconds=119), "119 s ago"),
        (timedelta(seconds=120), "2 min ago"),
        (timedelta(minutes=119), "119 min ago"),
        (timedelta(hours=2), "2 h ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=2), "2 d ago"),
        (timedelta(days=4_000), "4000 d ago"),
    ],
)
def test_times_are_shown_by_how_long_ago_they_were(ago: timedelta, text: str) -> None:
    idle = SyncState("a_b", NOW - ago, None, None, "idle", None, {})
    facts = status.Status(
        workflows=[status.WorkflowStatus(idle, "idle")],
        source=Health(),
        counts={},
        events_owed=0,
        events_rejected=[],
        now=NOW,
    )
    assert f" {text} " in status.as_lines(facts)[1]


def test_the_command_shows_what_a_real_run_left(
    simulator: Callable[..., Simulator], batch: Callable[..., Any]
) -> None:
    sim = simulator(titles=40, rate=0)
    sim.fail("title_1mb", position=3)
    done = batch(sim, "initial-sync", "--count", "20", "--json", WORKERS="2")
    assert (done.code, done.json["failed"]) == (0, 1)
    found = batch(sim, "status", "--json").json
    initial = found["workflows"]["initial_sync"]
    assert (initial["status"], initial["last_run"]["manga_new"]) == ("completed", 19)
    [why] = initial["rejected"].values()
    assert "1,000,000 characters" in why["reason"]
    text = batch(sim, "status").stdout
    assert "initial-sync: cannot store " in text and "(try 1)" in text
