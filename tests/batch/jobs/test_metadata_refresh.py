"""Titles asked for again: what changed, what is gone, what came back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pytest_mock import MockerFixture

from batch.errors import SourceDown
from batch.mangadex.client import MangaDex
from batch.models import Page, Summary
from batch.store import outbox, sync_state
from mangadex_sim import Simulator
from tests.support.kills import killed_at

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]
Track = Callable[..., list[str]]
Payloads = Callable[[], list[tuple[str, dict[str, Any]]]]


@pytest.fixture
def refresh(run_job: RunJob) -> Callable[..., Summary]:
    """Everything is due, unless a test says otherwise."""
    return lambda **settings: run_job("metadata_refresh", **{"REFRESH_HOURS": "0"} | settings)


def paths(sim: Simulator) -> dict[str, int]:
    found: dict[str, int] = sim.stats()["by_path"]
    return found


def one(connection: Connection, columns: str, title: str) -> Any:
    query = f"SELECT {columns} FROM manga WHERE mangadex_id = %s".encode()
    return connection.execute(query, [title]).fetchone()


def test_titles_are_asked_for_a_hundred_at_a_time(
    sim: Simulator, track: Track, refresh: Callable[..., Summary]
) -> None:
    track(250)
    sim.reset()
    summary = refresh()
    assert (summary.requests, summary.manga_seen, summary.manga_updated) == (3, 250, 0)
    assert summary.events == 0


def test_only_what_was_not_synced_for_long_is_due(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    ids = track(3)
    connection.execute(
        "UPDATE manga SET last_synced_at = now() - interval '25 h' WHERE mangadex_id = %s", [ids[1]]
    )
    assert refresh(REFRESH_HOURS="24").manga_seen == 1
    sim.reset()
    assert refresh(REFRESH_HOURS="24").requests == 0


def test_a_change_of_title_status_or_cover_is_one_event_with_old_and_new_values(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], payloads: Payloads,
    connection: Connection,
) -> None:  # fmt: skip
    changed, same = track(2, title="Before", status="ongoing")
    old_cover = one(connection, "cover_url", changed)[0]
    sim.edit_title(changed, title="After", status="completed", cover=True)
    summary = refresh()
    assert (summary.manga_updated, summary.events) == (1, 1)
    title, status, cover = one(connection, "title, status, cover_url", changed)
    assert (title, status) == ("After", "completed") and cover != old_cover
    ((kind, payload),) = payloads()
    assert kind == "manga-update"
    assert payload == {
        "changes": ["title", "status", "cover_url"],
        "detailed_changes": [
            {"field": "title", "old_value": "Before", "new_value": "After"},
            {"field": "status", "old_value": "ongoing", "new_value": "completed"},
            {"field": "cover_url", "old_value": old_cover, "new_value": cover},
        ],
    }
    assert one(connection, "title", same) == ("Before",)
    assert refresh().events == 0


@pytest.mark.parametrize("synced", ["NULL", "now() - interval '9 days'"])
def test_the_first_refresh_of_adopted_titles_is_a_baseline_that_the_summary_lists(
    sim: Simulator,
    track: Track,
    refresh: Callable[..., Summary],
    connection: Connection,
    synced: str,
) -> None:
    ids = track(3)
    connection.execute(
        "UPDATE manga SET mangadex_version = NULL, status = 'hiatus', cover_url = NULL,"
        f" last_synced_at = {synced}".encode()
    )
    connection.execute("UPDATE manga SET status = 'ongoing' WHERE mangadex_id = %s", [ids[0]])
    summary = refresh()
    assert (summary.manga_updated, summary.events) == (3, 0)
    assert summary.as_json()["adopted_changed"] == {ids[1]: ["status"], ids[2]: ["status"]}
    for title in ids:
        sim.edit_title(title, status="completed")
    assert refresh(REFRESH_HOURS="0").events == 3


def test_a_title_that_was_not_requested_is_not_stored(
    sim: Simulator,
    track: Track,
    refresh: Callable[..., Summary],
    connection: Connection,
    mocker: MockerFixture,
) -> None:
    asked, merged = track(2)
    stranger = sim.add_title()
    list_manga, get_manga = MangaDex.list_manga, MangaDex.get_manga

    def strange_list(self: MangaDex, **options: Any) -> Page:
        return list_manga(self, **options | {"ids": [UUID(asked), UUID(stranger)]})

    mocker.patch.object(MangaDex, "list_manga", strange_list)
    mocker.patch.object(MangaDex, "get_manga", lambda self, _: get_manga(self, UUID(stranger)))
    summary = refresh()
    assert (summary.manga_seen, summary.failed) == (1, 1)
    assert list(sync_state.read(connection, "metadata_refresh").rejected) == [merged]
    assert one(connection, "id", stranger) is None


def test_other_changes_are_stored_in_silence(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection,
    payloads: Payloads,
) -> None:  # fmt: skip
    (title,) = track(1, lastChapter="20", tags=["Drama"])
    sim.edit_title(title, description="New text", authors=["A. Writer"], tags=["Comedy", "Horror"],
                   lastChapter="12")  # fmt: skip
    assert refresh().manga_updated == 1
    row = one(connection, "description, author, total_chapters", title)
    assert row == ("New text", "A. Writer", 20)
    genres = connection.execute("SELECT name FROM genres JOIN manga_genres g ON g.genre_id ="
                                " genres.id ORDER BY name").fetchall()  # fmt: skip
    assert genres == [("Comedy",), ("Horror",)]
    assert payloads() == []


def test_two_changes_of_one_version_are_two_events(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], payloads: Payloads
) -> None:
    (title,) = track(1, version=7)
    sim.edit_title(title, status="hiatus", version=8)
    refresh()
    sim.edit_title(title, cover=True, version=8)
    refresh()
    assert [payload["changes"] for _, payload in payloads()] == [["status"], ["cover_url"]]


def test_a_title_is_unavailable_once_it_was_missing_in_two_runs(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    gone, kept = track(2)
    sim.remove_title(gone)
    sim.reset()
    assert refresh().as_json()["missing"] == 1
    assert paths(sim) == {"/manga": 1, "/manga/{id}": 1}
    assert one(connection, "unavailable_at IS NULL, missing_since IS NULL", gone) == (True, False)
    summary = refresh()
    assert summary.as_json()["unavailable"] == 1
    assert one(connection, "unavailable_at IS NULL", gone) == (False,)
    assert one(connection, "unavailable_at IS NULL", kept) == (True,)
    moment = one(connection, "unavailable_at, missing_since", gone)
    sim.reset()
    assert refresh().as_json()["unavailable"] == 0
    assert paths(sim) == {"/manga": 1}  # not requested singly any more
    assert one(connection, "unavailable_at, missing_since", gone) == moment


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_a_title_comes_back_when_it_comes_back(
    runs: int, sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    (title,) = track()
    sim.remove_title(title)
    for _ in range(runs):
        refresh()
    sim.restore_title(title)
    refresh()
    assert one(connection, "unavailable_at, missing_since", title) == (None, None)
    sim.remove_title(title)
    refresh()
    assert one(connection, "unavailable_at", title) == (None,)  # it counts from one again


def test_a_missing_title_stays_due(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    gone, _ = track(2)
    connection.execute("UPDATE manga SET last_synced_at = now() - interval '25 h'")
    sim.remove_title(gone)
    for _ in range(2):
        refresh(REFRESH_HOURS="24")
    assert one(connection, "unavailable_at IS NULL", gone) == (False,)


def test_a_filter_never_looks_like_a_deletion(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    (title,) = track(1, status="ongoing")
    sim.edit_title(title, contentRating="pornographic", status="hiatus")
    assert refresh().as_json()["missing"] == 0
    assert one(connection, "status", title) == ("hiatus",)


def test_a_list_that_leaves_out_what_exists_is_not_believed(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    ids = track(2, status="ongoing")
    sim.edit_title(ids[0], status="hiatus")
    sim.fail("204", paths="/manga")
    summary = refresh()
    assert (summary.manga_seen, summary.as_json()["missing"], summary.requests) == (2, 0, 3)
    assert one(connection, "status", ids[0]) == ("hiatus",)


def test_a_title_that_is_refused_singly_is_recorded_and_keeps_no_other_waiting(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    ids = track(3, status="ongoing")
    sim.remove_title(ids[0])
    sim.edit_title(ids[2], status="hiatus")
    sim.fail("403_json", paths=f"/manga/{ids[0]}")
    summary = refresh()
    assert (summary.manga_seen, summary.failed, summary.as_json()["missing"]) == (2, 1, 0)
    assert list(sync_state.read(connection, "metadata_refresh").rejected) == [ids[0]]
    assert one(connection, "status", ids[2]) == ("hiatus",)


def test_a_title_that_cannot_be_read_is_recorded_and_not_missing(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection
) -> None:
    track(3)
    sim.fail("title_number_where_text", paths="/manga", position=1)
    summary = refresh()
    assert (summary.manga_seen, summary.failed, summary.as_json()["missing"]) == (2, 1, 0)
    assert len(list(sync_state.read(connection, "metadata_refresh").rejected)) == 1
    assert refresh().failed == 0
    assert list(sync_state.read(connection, "metadata_refresh").rejected) == []


def test_a_title_that_the_database_refuses_takes_no_other_along(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection,
    payloads: Payloads,
) -> None:  # fmt: skip
    ids = track(3, title="Before")
    connection.execute("ALTER TABLE manga ADD CONSTRAINT bad CHECK (title <> 'Bad')")
    sim.edit_title(ids[0], title="Good")
    sim.edit_title(ids[1], title="Bad")
    assert refresh().failed == 1
    assert [payload["changes"] for _, payload in payloads()] == [["title"]]
    connection.execute("ALTER TABLE manga DROP CONSTRAINT bad")
    assert refresh().events == 1
    assert one(connection, "title", ids[1]) == ("Bad",)


def test_a_cover_without_a_name_is_not_taken_away(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection,
    payloads: Payloads,
) -> None:  # fmt: skip
    (title,) = track()
    before = one(connection, "cover_url", title)
    assert before[0]
    sim.fail("title_without_relationships", paths="/manga")
    refresh()
    assert one(connection, "cover_url", title) == before and payloads() == []


def test_a_source_that_goes_down_at_the_third_page_keeps_what_is_done(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection,
    payloads: Payloads,
) -> None:  # fmt: skip
    ids = track(450, status="ongoing")
    for title in ids:
        sim.edit_title(title, status="hiatus")
    sim.fail("503", skip=2, count=None)
    with pytest.raises(SourceDown):
        refresh(WORKERS="1")
    sim.heal()
    assert len(payloads()) == 200
    refresh()
    assert len(payloads()) == 450
    keys = "SELECT count(DISTINCT dedup_key) FROM notification_events"
    assert connection.execute(keys.encode()).fetchone() == (450,)


def test_rows_and_events_of_a_page_are_one_commit(
    sim: Simulator, track: Track, refresh: Callable[..., Summary], connection: Connection,
    payloads: Payloads, mocker: MockerFixture,
) -> None:  # fmt: skip
    (title,) = track(1, status="ongoing")
    sim.edit_title(title, status="hiatus")
    with (
        killed_at(mocker, outbox, "add_events", call=1),
        pytest.raises(Exception, match="Killed"),
    ):
        refresh()
    assert one(connection, "status", title) == ("ongoing",)
    refresh()
    assert one(connection, "status", title) == ("hiatus",)
    assert len(payloads()) == 1


def test_a_title_that_is_gone_moves_to_the_one_with_two_of_its_ids(
    run_job: RunJob, sim: Simulator, connection: Connection, track: Track
) -> None:
    old, new = (track(1, links={"al": "7", "mal": "8"})[0] for _ in range(2))
    user = connection.execute(
        "INSERT INTO users (username, email, password_hash) VALUES ('jo', 'jo', '!') RETURNING id"
    ).fetchone()
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id)"
        " SELECT %s, id FROM manga WHERE mangadex_id = %s",
        [user and user[0], old],
    )
    sim.remove_title(old)
    for _ in range(2):
        connection.execute("UPDATE manga SET last_synced_at = now() - interval '2 days'")
        summary = run_job("metadata_refresh")
    assert summary.extra["moved"] == 1
    held = connection.execute(
        "SELECT mangadex_id::text FROM user_library JOIN manga ON manga.id = manga_id"
    ).fetchall()
    assert held == [(new,)]
