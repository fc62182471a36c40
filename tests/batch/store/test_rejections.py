"""Items that could not be stored: recorded with the reason, tried again, forgotten once stored."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import sql
from batch.errors import BatchError
from batch.models import Rejected
from batch.store import rejections, sync_state
from tests.support.waiting import wait_until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
POLL = "new_manga_poll"
AN_ID = UUID(int=7)


def rejected(connection: sql.Connection) -> dict[str, dict[str, Any]]:
    return sync_state.read(connection, POLL).rejected


def test_a_failure_is_remembered_with_reason_times_and_attempts(
    connection: sql.Connection,
) -> None:
    rejections.record(connection, POLL, [Rejected("x", "too long"), Rejected("y", "no")], NOW)
    rejections.record(connection, POLL, [Rejected("x", "still too long")], LATER)
    assert rejected(connection) == {
        "x": {
            "reason": "still too long",
            "first_at": NOW.isoformat(),
            "last_at": LATER.isoformat(),
            "attempts": 2,
        },
        "y": {
            "reason": "no",
            "first_at": NOW.isoformat(),
            "last_at": NOW.isoformat(),
            "attempts": 1,
        },
    }


def test_what_was_stored_after_all_is_forgotten(connection: sql.Connection) -> None:
    rejections.record(connection, POLL, [Rejected("x", "no"), Rejected("y", "no")], NOW)
    rejections.clear(connection, POLL, ["x", "never failed"])
    assert list(sync_state.read(connection, POLL).rejected) == ["y"]
    rejections.clear(connection, POLL, [])
    assert list(sync_state.read(connection, POLL).rejected) == ["y"]


def test_other_facts_survive_failures(connection: sql.Connection) -> None:
    sync_state.move_cursor(connection, POLL, None, covered={"all": True})
    rejections.record(connection, POLL, [Rejected("x", "no")], NOW)
    rejections.clear(connection, POLL, ["x"])
    metadata = sync_state.read(connection, POLL).metadata
    assert metadata == {"covered": {"all": True}, "rejected": {}}


def test_a_long_reason_is_cut_and_nothing_is_recorded_for_nothing(
    connection: sql.Connection,
) -> None:
    rejections.record(connection, POLL, [], NOW)
    assert sync_state.read(connection, POLL).metadata == {}
    rejections.record(connection, POLL, [Rejected("x", "塩" * 10_000)], NOW)
    assert rejected(connection)["x"]["reason"] == "塩" * 300


@pytest.mark.parametrize("other", [["x"], {"x": "text"}, {"x": {"attempts": "many"}}, "x", 5])
def test_what_another_program_keeps_under_the_same_name_does_no_harm(
    connection: sql.Connection, other: object
) -> None:
    sync_state.move_cursor(connection, POLL, None, rejected=other)
    rejections.clear(connection, POLL, ["z"])
    rejections.record(connection, POLL, [Rejected("x", "no")], NOW)
    assert rejected(connection)["x"]["attempts"] == 1


def test_failures_of_two_workers_at_once_are_both_remembered(
    connection: sql.Connection, database_url: str
) -> None:
    def record_second() -> None:
        with sql.connect(database_url, "second") as second:
            rejections.record(second, POLL, [Rejected("y", "no"), Rejected("z", "no")], NOW)

    rejections.record(connection, POLL, [Rejected("z", "no")], NOW)
    thread = threading.Thread(target=record_second)
    with sql.connect(database_url) as first:
        with first.transaction():
            rejections.record(first, POLL, [Rejected("x", "no"), Rejected("z", "no")], NOW)
            thread.start()
            waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'second'"
            wait_until(
                lambda: connection.execute(
                    f"{waiting} AND wait_event_type = 'Lock'".encode()
                ).fetchone()
            )
        thread.join(10)
    assert {key: why["attempts"] for key, why in rejected(connection).items()} == {
        "x": 1,
        "y": 1,
        "z": 3,
    }


@pytest.mark.parametrize(
    ("attempts", "gap"),
    [
        (1, timedelta(0)),
        (2, timedelta(0)),
        (3, timedelta(hours=1)),
        (4, timedelta(hours=2)),
        (10, timedelta(hours=128)),
        (11, timedelta(days=7)),
        (1000, timedelta(days=7)),
    ],
)
def test_what_keeps_failing_is_tried_less_often_and_never_given_up(
    connection: sql.Connection, attempts: int, gap: timedelta
) -> None:
    now = datetime.now(UTC)
    for _ in range(min(attempts, 12)):
        rejections.record(connection, "initial_sync", [Rejected(str(AN_ID), "odd")], now)
    assert rejections.read_due(connection, "initial_sync", now + gap) == [AN_ID]
    just_before = now + gap - timedelta(seconds=1)
    expected = [AN_ID] if gap == timedelta(0) else []
    assert rejections.read_due(connection, "initial_sync", just_before) == expected


def test_a_flood_of_failures_is_no_matter_of_single_titles(
    connection: sql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "MAX_REJECTED", 2)
    now = datetime.now(UTC)
    many = [Rejected(str(number), "odd") for number in range(3)]
    with pytest.raises(BatchError, match="more than 2 items cannot be stored"):
        rejections.record(connection, "initial_sync", many, now)
    assert list(sync_state.read(connection, "initial_sync").rejected) == []


def test_an_item_without_an_id_is_not_asked_for_again(connection: sql.Connection) -> None:
    nameless = "an entity with the id None"
    rejections.record(connection, POLL, [Rejected(nameless, "odd"), Rejected(str(AN_ID), "")], NOW)
    assert rejections.read_due(connection, POLL, LATER) == [AN_ID]
    assert rejections.read_nameless(connection, POLL) == [nameless]


def test_entries_of_feeds_are_recorded_up_to_a_number(
    connection: sql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "MAX_CHAPTERS", 2)
    one, two, three = (Rejected(name, "odd") for name in ("one", "two", "three"))
    assert not rejections.are_known(connection, [one])
    rejections.record_chapters(connection, "chapter_feed", [one], NOW)
    assert rejections.are_known(connection, [one])
    assert not rejections.are_known(connection, [one, three])
    rejections.record_chapters(connection, "chapter_feed", [two, three, one], LATER)
    stored = sync_state.read(connection, "chapter_feed").rejected
    assert {key: why["attempts"] for key, why in stored.items()} == {"one": 2, "two": 1}
    assert rejections.are_known(connection, [three])  # unknown by now
    rejections.clear_chapters(connection, ["one", "two"])
    assert sync_state.read(connection, "chapter_feed").rejected == {}
