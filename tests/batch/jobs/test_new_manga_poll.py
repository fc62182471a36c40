"""New titles, from the stand-in API to rows, events and the cursor."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from pytest_mock import MockerFixture

from batch.errors import SourceDown
from batch.jobs import new_manga_poll
from batch.mangadex import paging
from batch.mangadex.client import MangaDex
from batch.models import Page, Summary
from batch.store import outbox, sync_state
from mangadex_sim import Simulator
from tests.support.kills import killed_at

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]
Ago = Callable[..., str]


@pytest.fixture
def synced(connection: Connection) -> datetime:
    """The moment of an initial sync, two days ago."""
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    connection.execute(
        "UPDATE sync_state SET last_success_at = now(),"
        " metadata = jsonb_build_object('started_at', %s::text) WHERE sync_type = 'initial_sync'",
        [moment.isoformat()],
    )
    return moment


def titles(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT title FROM manga ORDER BY id")]


def told(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT payload ->> 'title' FROM notification_events WHERE type = 'new-manga' ORDER BY id"
    )
    return [row[0] for row in rows]


def cursor_of(connection: Connection) -> str | None:
    return sync_state.read(connection, "new_manga_poll").last_cursor


def add(sim: Simulator, moment: datetime, name: str, **attributes: object) -> str:
    return sim.add_title(title=name, createdAt=moment.isoformat(), **attributes)


def add_many(sim: Simulator, count: int, start: datetime, step: timedelta) -> None:
    sim.order("titles/add", titles=[
        {"title": f"Title {n}", "createdAt": (start + n * step).isoformat()} for n in range(count)
    ])  # fmt: skip


def test_250_new_titles_are_250_found_in_three_requests(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add_many(sim, 250, synced, timedelta(seconds=60))
    summary = run_job("new_manga_poll")
    assert titles(connection) == told(connection) == [f"Title {n}" for n in range(250)]
    assert (summary.requests, summary.manga_new, summary.events) == (3, 250, 250)
    newest = synced + timedelta(seconds=60 * 249)
    assert cursor_of(connection) == f"{newest:%Y-%m-%dT%H:%M:%S}"


def test_a_title_that_changes_places_with_another_between_two_pages_is_found(
    sim: Simulator,
    synced: datetime,
    run_job: RunJob,
    connection: Connection,
    mocker: MockerFixture,
) -> None:
    add_many(sim, 250, synced, timedelta(0))
    pages: list[Page] = []
    list_manga = MangaDex.list_manga

    def swap(*args: Any, **options: Any) -> Page:
        page = list_manga(*args, **options)
        pages.append(page)
        if len(pages) == 2:  # the last title of the first page once more, instead of its own
            return replace(page, entities=[pages[0].entities[-1], *page.entities[1:]])
        return page

    mocker.patch.object(MangaDex, "list_manga", swap)
    summary = run_job("new_manga_poll")
    assert sorted(titles(connection)) == sorted(f"Title {n}" for n in range(250))
    assert (summary.requests, summary.events) == (5, 250)
    assert run_job("new_manga_poll").manga_new == 0


def test_a_title_that_another_one_s_going_moves_past_the_reader_is_found(
    sim: Simulator,
    synced: datetime,
    run_job: RunJob,
    connection: Connection,
    mocker: MockerFixture,
) -> None:
    add_many(sim, 150, synced, timedelta(seconds=60))
    pages: list[Page] = []
    list_manga = MangaDex.list_manga

    def without_the_first(self: MangaDex, **options: Any) -> Page:
        """As if the first title went when the first page had been read."""
        offset = options.get("offset", 0)
        if pages:
            options["offset"] = offset + 1
        page = list_manga(self, **options)
        if pages:
            page = replace(page, total=page.total - 1, offset=offset)
        pages.append(page)
        return page

    mocker.patch.object(MangaDex, "list_manga", without_the_first)
    summary = run_job("new_manga_poll")
    assert sorted(titles(connection)) == sorted(f"Title {n}" for n in range(150))
    assert (summary.requests, summary.events) == (4, 150)


@pytest.mark.parametrize(
    "step_s", [0, 1, 30, 3600], ids=["at once", "in a burst", "quickly", "slowly"]
)
def test_a_poll_without_news_is_one_request(
    step_s: int, sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add_many(sim, 24, synced, timedelta(seconds=step_s))
    add_many(sim, 226, synced + timedelta(seconds=step_s * 24), timedelta(seconds=min(step_s, 300)))
    run_job("new_manga_poll")
    assert len(titles(connection)) == 250
    for _ in range(2):
        summary = run_job("new_manga_poll")
        assert (summary.requests, summary.manga_new, summary.events) == (1, 0, 0)


def test_a_title_of_the_same_second_as_many_before_is_found(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add_many(sim, 250, synced, timedelta(0))
    run_job("new_manga_poll")
    add(sim, synced, "One more")
    summary = run_job("new_manga_poll")
    assert (summary.requests, titles(connection)[-1]) == (1, "One more")
    add_many(sim, 240, synced, timedelta(0))
    assert run_job("new_manga_poll").manga_new == 240
    assert run_job("new_manga_poll").requests == 1
    add(sim, synced + timedelta(hours=3), "Hours later")
    run_job("new_manga_poll")
    assert run_job("new_manga_poll").requests == 1
    assert titles(connection)[-1] == "Hours later"


def test_when_many_known_titles_are_gone_the_list_is_read_from_its_beginning(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add_many(sim, 250, synced, timedelta(0))
    run_job("new_manga_poll")
    sim.remove_title(*range(200))
    add(sim, synced, "One more")
    run_job("new_manga_poll")
    assert titles(connection)[-1] == "One more"


def test_the_first_poll_begins_at_the_initial_sync(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add(sim, synced - timedelta(seconds=1), "Just before")
    add(sim, synced, "In that second")
    add(sim, synced + timedelta(hours=1), "After")
    run_job("new_manga_poll")
    run_job("new_manga_poll")  # nor does its overlap reach back beyond it
    assert titles(connection) == ["In that second", "After"]


def test_a_first_poll_without_news_leaves_a_cursor(
    synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    assert run_job("new_manga_poll").requests == 1
    assert cursor_of(connection) == f"{synced:%Y-%m-%dT%H:%M:%S}"


def test_an_initial_sync_that_is_repeated_does_not_move_the_poll(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add(sim, synced + timedelta(hours=1), "First")
    run_job("new_manga_poll")
    connection.execute(
        "UPDATE sync_state SET metadata = metadata || jsonb_build_object('started_at', now()::text)"
        " WHERE sync_type = 'initial_sync'"
    )
    add(sim, synced + timedelta(hours=9), "Second")
    run_job("new_manga_poll")
    assert titles(connection) == ["First", "Second"]


def test_without_any_initial_sync_a_poll_begins_now(
    sim: Simulator, run_job: RunJob, connection: Connection
) -> None:
    add(sim, datetime.now(UTC) - timedelta(minutes=5), "Earlier")
    run_job("new_manga_poll")
    assert titles(connection) == []
    add(sim, datetime.now(UTC) + timedelta(seconds=2), "Later")
    run_job("new_manga_poll")
    assert titles(connection) == ["Later"]


@pytest.mark.parametrize("written", ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00.5+01:00"])
def test_a_cursor_of_another_program_is_understood(
    written: str, sim: Simulator, run_job: RunJob, connection: Connection
) -> None:
    connection.execute(
        "UPDATE sync_state SET last_cursor = %s WHERE sync_type = 'new_manga_poll'", [written]
    )
    add(sim, datetime(2026, 2, 28, 12, tzinfo=UTC), "Long before")
    add(sim, datetime(2026, 3, 1, 12, 30, tzinfo=UTC), "After")
    run_job("new_manga_poll")
    assert titles(connection) == ["After"]
    assert cursor_of(connection) == "2026-03-01T12:30:00"


@pytest.mark.parametrize("date", ["infinity", "-infinity", "0001-01-01", "2999-01-01"])
def test_dates_of_another_program_that_tell_nothing_are_passed_over(
    sim: Simulator, run_job: RunJob, connection: Connection, date: str
) -> None:
    connection.execute(
        "UPDATE sync_state SET last_run_at = %(date)s, last_success_at = %(date)s,"
        " last_cursor = %(text)s",
        {"date": date, "text": f"{date}T00:00:00Z"},
    )
    for job in ("new_manga_poll", "chapter_feed"):
        assert run_job(job).events == 0
    add(sim, datetime.now(UTC), "New", contentRating="safe")
    assert run_job("new_manga_poll").events == 1


def test_a_title_that_is_listed_late_is_found_in_the_overlap(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add(sim, synced + timedelta(hours=5), "Newest")
    run_job("new_manga_poll")
    add(sim, synced + timedelta(hours=4, minutes=10), "Late")
    run_job("new_manga_poll")
    assert titles(connection) == ["Newest", "Late"]


def test_it_does_not_matter_whether_the_bound_is_part_of_the_answer(
    simulator: Callable[..., Simulator], sim: Simulator, synced: datetime,
    run_job: RunJob, connection: Connection, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    strict = simulator(titles=0, rate=0, since_inclusive=False)
    monkeypatch.setattr(type(sim), "url", property(lambda _: f"http://{_address(strict)}"))
    for n in range(3):
        add(strict, synced, f"Title {n}")
    run_job("new_manga_poll")
    add(strict, synced, "Title 3")
    run_job("new_manga_poll")
    assert titles(connection) == [f"Title {n}" for n in range(4)]


def _address(sim: Simulator) -> str:
    host, port = sim._server.address
    return f"{host}:{port}"


def test_only_the_ratings_that_are_wanted_are_imported(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    for rating in ("safe", "suggestive", "erotica", "pornographic"):
        add(sim, synced + timedelta(hours=1), rating, contentRating=rating)
    run_job("new_manga_poll", CONTENT_RATINGS="safe,suggestive")
    assert sorted(titles(connection)) == ["safe", "suggestive"]


def test_known_titles_are_left_to_the_refresh(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    title = add(sim, synced + timedelta(hours=1), "Before")
    run_job("new_manga_poll")
    sim.edit_title(title, title="After")
    assert run_job("new_manga_poll").events == 0
    assert titles(connection) == ["Before"]


def test_a_title_that_the_database_rejects_is_tried_again_and_announced_then(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    connection.execute("ALTER TABLE manga ADD CONSTRAINT bad CHECK (title <> 'Bad')")
    refused = add(sim, synced + timedelta(hours=1), "Bad")
    add(sim, synced + timedelta(hours=30), "Good")
    summary = run_job("new_manga_poll")
    assert (summary.manga_new, summary.failed) == (1, 1)
    assert list(sync_state.read(connection, "new_manga_poll").rejected) == [refused]
    assert run_job("new_manga_poll").failed == 1
    connection.execute("ALTER TABLE manga DROP CONSTRAINT bad")
    assert run_job("new_manga_poll").manga_new == 1
    assert titles(connection) == told(connection) == ["Good", "Bad"]
    assert list(sync_state.read(connection, "new_manga_poll").rejected) == []


def test_a_title_that_cannot_be_read_is_recorded_and_hides_no_other(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add_many(sim, 3, synced + timedelta(hours=1), timedelta(hours=2))
    sim.fail("title_number_where_text", position=1, paths="/manga")
    assert run_job("new_manga_poll").failed == 1
    assert titles(connection) == ["Title 0", "Title 2"]
    run_job("new_manga_poll")
    assert titles(connection) == ["Title 0", "Title 2", "Title 1"]
    assert list(sync_state.read(connection, "new_manga_poll").rejected) == []


def test_a_source_that_goes_down_at_the_third_page_loses_nothing(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add_many(sim, 250, synced, timedelta(seconds=60))
    sim.fail("503", skip=2, count=None)
    with pytest.raises(SourceDown):
        run_job("new_manga_poll")
    newest = synced + timedelta(seconds=60 * 199)
    assert cursor_of(connection) == f"{newest:%Y-%m-%dT%H:%M:%S}"
    sim.heal()
    assert run_job("new_manga_poll").manga_new == 50
    assert told(connection) == [f"Title {n}" for n in range(250)]


@pytest.mark.parametrize("mode", ["204", "total_absent", "data_null", "same_title_twice"])
def test_a_page_that_comes_empty_or_broken_midway_is_not_the_end_of_the_list(
    mode: str, sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add_many(sim, 250, synced, timedelta(seconds=60))
    sim.fail(mode, skip=1, count=5)
    with suppress(SourceDown):
        run_job("new_manga_poll")
    sim.heal()
    run_job("new_manga_poll")
    assert sorted(told(connection)) == sorted(f"Title {n}" for n in range(250))


def test_beyond_the_ceiling_a_new_window_begins(
    sim: Simulator,
    synced: datetime,
    run_job: RunJob,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "MAX_WINDOW", 200)
    add_many(sim, 530, synced, timedelta(seconds=60))
    run_job("new_manga_poll")
    assert told(connection) == [f"Title {n}" for n in range(530)]


def test_a_full_window_within_one_second_is_no_endless_loop(
    sim: Simulator,
    synced: datetime,
    run_job: RunJob,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "MAX_WINDOW", 100)
    add_many(sim, 150, synced, timedelta(0))
    add(sim, synced + timedelta(minutes=1), "After")
    run_job("new_manga_poll")
    assert "After" in titles(connection)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param(new_manga_poll, "store_manga", id="after the rows"),
        pytest.param(outbox, "add_events", id="after the events"),
        pytest.param(sync_state, "move_cursor", id="after the cursor"),
    ],
)
def test_a_poll_killed_before_any_commit_ends_like_an_undisturbed_one(
    module: Any,
    name: str,
    sim: Simulator,
    synced: datetime,
    run_job: RunJob,
    connection: Connection,
    mocker: MockerFixture,
) -> None:
    add_many(sim, 350, synced, timedelta(seconds=60))
    for call in range(1, 9):
        with killed_at(mocker, module, name, call):
            run_job("new_manga_poll")
            break
    assert call > 2
    assert titles(connection) == told(connection) == [f"Title {n}" for n in range(350)]


def test_a_title_that_a_reader_s_list_names_comes_into_his_library(
    sim: Simulator, synced: datetime, run_job: RunJob, connection: Connection
) -> None:
    add(sim, synced + timedelta(hours=1), "Blue Lantern")
    connection.execute("INSERT INTO users (username, email) VALUES ('mika', 'mika@localhost')")
    connection.execute(
        "INSERT INTO import_entries (user_id, entry_key, title, state)"
        " SELECT id, 'title:bluelantern', 'Blue Lantern', 'unmatched' FROM users"
    )
    run_job("new_manga_poll")
    rows = connection.execute(
        "SELECT title FROM user_library JOIN manga ON manga.id = manga_id"
    ).fetchall()
    assert rows == [("Blue Lantern",)]
