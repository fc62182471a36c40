"""Runs that fail: what they found is announced all the same, and the failure recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import sql
from mangadex_sim import Simulator
from tests.support.hub import rows

Hubs = Callable[..., Any]
Simulators = Callable[..., Simulator]


def test_what_a_run_found_before_the_source_went_down_is_announced_at_its_end(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=30, rate=0)
    hub = make_hub(sim, database_url, MANGA_SYNC_WORKERS="1")
    known, other = (sim.add_title(contentRating="safe", followedCount=10**6) for _ in range(2))
    hub.batch("initial-sync", "--count", "10")
    hub.serve()
    hub.add_user("anna", known, other)
    sim.publish(known, number="1", language="en")
    sim.publish(other, number="1", language="en")
    hub.batch("chapter-feed")
    sim.publish(known, number="2", language="en")
    sim.publish(other, number="2", language="en")
    sim.fail("403_html_ban", count=None, paths=[f"/manga/{other}/feed"])

    failed = hub.batch("chapter-check", "--all", code=75)

    assert failed["status"] == "error"
    assert "banned" in failed["error"]
    told = "SELECT count(*) FROM notifications WHERE message LIKE 'New chapter 2 %'"
    assert rows(database_url, told) == [(1,)]
    assert rows(
        database_url, "SELECT count(*) FROM notification_events WHERE accepted_at IS NULL"
    ) == [(0,)]


def test_an_owed_event_is_tried_at_the_end_of_a_run_that_fails(
    make_hub: Hubs, simulator: Simulators, database_url: str
) -> None:
    sim = simulator(titles=30, rate=0)
    hub = make_hub(sim, database_url)
    hub.batch("initial-sync", "--count", "10")
    hub.serve()
    hub.add_user("anna")
    with sql.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO notification_events (type, manga_id, payload, dedup_key)"
            " SELECT 'new-manga', id, jsonb_build_object('manga_id', id, 'title', title), 'e'"
            " FROM manga LIMIT 1"
        )
    sim.fail("403_html_ban", count=None)
    assert hub.batch("new-manga-poll", code=75)["exit_code"] == 75
    assert rows(database_url, "SELECT count(*) FROM notifications") == [(1,)]


@pytest.mark.parametrize("command", ["chapter-feed", "status", "relay"])
def test_an_unexpected_error_is_one_traceback_in_the_log_and_still_one_object_on_stdout(
    run_batch: Callable[..., Any], database_url: str, command: str
) -> None:
    with sql.connect(database_url) as connection:
        connection.execute("ALTER TABLE notification_events RENAME TO gone")
    env = {"DATABASE_URL": database_url, "MANGADEX_API_URL": "http://127.0.0.1:9"}
    done = run_batch(command, "--json", env=env)
    assert done.code == 1
    assert done.stderr.count("Traceback (most recent call last)") == 1
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert told["exit_code"] == 1
    assert told["status"] == "error"
    assert "notification_events" in told["error"]
