"""The global feed, from the stand-in API to rows, announcements and events."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pytest_mock import MockerFixture

from batch.errors import SourceDown
from batch.mangadex import client, feed, paging
from batch.models import Chapter, Page, Summary
from batch.store import baselines, chapters, news, outbox, sync_state
from mangadex_sim import Simulator
from tests.support.kills import killed_at

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]
Track = Callable[..., list[str]]
Payloads = Callable[[], list[tuple[str, dict[str, Any]]]]
Numbers = Callable[[], list[tuple[str, float]]]
Ago = Callable[..., str]


def paths(sim: Simulator) -> dict[str, int]:
    found: dict[str, int] = sim.stats()["by_path"]
    return found


def cursor_of(connection: Connection) -> str | None:
    return sync_state.read(connection, "chapter_feed").last_cursor


def test_new_chapters_of_tracked_titles_are_stored_and_announced(
    sim: Simulator, track: Track, run_job: RunJob, payloads: Payloads, long_ago: Ago
) -> None:
    first, second = track(2)
    stranger = sim.add_title()
    sim.publish(first, number="180", readableAt=long_ago(days=3))
    sim.publish(first, number="181", readableAt=long_ago(hours=3))
    sim.publish(second, number="1", readableAt=long_ago(hours=2))
    sim.publish(stranger, number="7", readableAt=long_ago(hours=1))
    sim.reset()
    summary = run_job("chapter_feed")
    assert payloads() == [
        ("new-chapter", {"chapter": 181, "old_chapter": 180}),
        ("new-chapter", {"chapter": 1}),
    ]
    assert (summary.chapters_new, summary.events, summary.failed) == (2, 2, 0)
    assert summary.requests == 3  # the feed, and a baseline for each title
    assert paths(sim) == {"/chapter": 1, "/manga/{id}/feed": 2}


def test_a_run_without_news_is_one_request_and_writes_no_row(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, long_ago: Ago
) -> None:
    (title,) = track()
    sim.publish(title, number="1", readableAt=long_ago(hours=3))
    run_job("chapter_feed")
    rows = "SELECT xmin, id FROM {} ORDER BY id"
    tables = ("chapters", "manga", "notification_events")
    before = [connection.execute(rows.format(t).encode()).fetchall() for t in tables]
    summary = run_job("chapter_feed")
    after = [connection.execute(rows.format(t).encode()).fetchall() for t in tables[:2]]
    assert summary.requests == 1 and summary.events == 0
    assert after == before[:2]


def test_a_run_without_news_is_one_request_also_when_much_came_just_before(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers
) -> None:
    (title,) = track()
    sim.publish_many([{"manga": title, "number": str(n)} for n in range(250)])
    assert run_job("chapter_feed").chapters_new == 250
    assert run_job("chapter_feed").requests == 1
    sim.publish(title, number="250")
    assert run_job("chapter_feed").requests == 3
    assert len(numbers()) == 251


def test_a_chapter_that_changes_places_with_another_between_two_pages_is_found_by_the_next_run(
    sim: Simulator,
    track: Track,
    run_job: RunJob,
    numbers: Numbers,
    long_ago: Ago,
    mocker: MockerFixture,
) -> None:
    (title,) = track()
    for n in range(120):
        sim.publish(title, number=str(n), readableAt=long_ago(minutes=5))
    pages: list[Page] = []
    list_chapters = client.MangaDex.list_chapters

    def swap(*args: Any, **options: Any) -> Page:
        page = list_chapters(*args, **options)
        pages.append(page)
        if len(pages) == 2:  # the last one of the first page once more, instead of its own
            return replace(page, entities=[pages[0].entities[-1], *page.entities[1:]])
        return page

    mocker.patch.object(client.MangaDex, "list_chapters", swap)
    assert [run_job("chapter_feed").chapters_new for _ in range(3)] == [119, 1, 0]
    assert len(numbers()) == 120


def test_without_tracked_titles_nothing_is_asked(run_job: RunJob, connection: Connection) -> None:
    assert run_job("chapter_feed").requests == 0
    assert cursor_of(connection) is None


def test_the_cursor_is_the_newest_readable_moment(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, long_ago: Ago
) -> None:
    track()
    stranger = sim.add_title()
    sim.publish(stranger, number="1", readableAt=(moment := long_ago(hours=1)))
    sim.publish(stranger, number="2", in_s=7200)
    run_job("chapter_feed")
    assert cursor_of(connection) == moment.removesuffix("+00:00")


def test_chapters_that_come_to_be_listed_late_are_found_in_the_overlap(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers, long_ago: Ago
) -> None:
    (title,) = track()
    sim.publish(title, number="2", readableAt=long_ago(minutes=1))
    run_job("chapter_feed")
    sim.publish(title, number="1", readableAt=long_ago(minutes=10))
    run_job("chapter_feed")
    assert numbers() == [("en", 2.0), ("en", 1.0)]


def test_pages_are_read_back_to_the_cursor(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers, long_ago: Ago
) -> None:
    ids = track(5)
    sim.publish_many([
        {"manga": ids[n % 5], "number": str(1 + n // 5), "readableAt": long_ago(minutes=1000 - n)}
        for n in range(250)
    ])  # fmt: skip
    sim.publish(ids[0], number="0", readableAt=long_ago(days=3))
    sim.reset()
    summary = run_job("chapter_feed")
    assert summary.chapters_new == len(numbers()) == 250
    assert paths(sim)["/chapter"] == 3
    assert summary.events == 5  # each title's are listed in one


def test_several_uploads_of_a_number_are_one_row_and_one_event(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers, payloads: Payloads
) -> None:
    (title,) = track()
    for group in ("A", "B", "C"):
        sim.publish(title, number="5", groups=[group])
    run_job("chapter_feed")
    sim.publish(title, number="5", groups=["D"])
    run_job("chapter_feed")
    assert numbers() == [("en", 5.0)]
    assert len(payloads()) == 1


def test_a_scheduled_chapter_is_new_when_its_time_has_come(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers, long_ago: Ago
) -> None:
    (title,) = track()
    upload = sim.publish(title, number="5", in_s=3600)
    sim.publish(title, number="4", readableAt=long_ago(hours=1))
    run_job("chapter_feed")
    assert numbers() == [("en", 4.0)]
    sim.edit_chapter(upload, publishAt=long_ago(seconds=1))
    run_job("chapter_feed")
    assert numbers() == [("en", 4.0), ("en", 5.0)]


def test_a_link_with_a_date_in_the_far_future_is_new_at_once(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    (title,) = track()
    sim.publish(title, number="5", externalUrl="https://reader.example/5")
    run_job("chapter_feed")
    row = connection.execute("SELECT external_url, pages FROM chapters").fetchone()
    assert row == ("https://reader.example/5", 0)


def test_languages_are_announced_apart_and_only_tracked_ones(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers
) -> None:
    (title,) = track()
    for language in ("en", "pt-br", "fr"):
        sim.publish(title, number="5", language=language)
    run_job("chapter_feed", LANGUAGES="en,fr")
    assert sorted(numbers()) == [("en", 5.0), ("fr", 5.0)]


def test_blocked_groups_and_uploaders_are_left_out(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers
) -> None:
    (title,) = track()
    group, user = str(UUID(int=1)), str(UUID(int=2))
    sim.publish(title, number="5", groups=[group])
    sim.publish(title, number="6", uploader=user)
    sim.publish(title, number="7")
    run_job("chapter_feed", BLOCKED_GROUPS=group, BLOCKED_UPLOADERS=user)
    assert numbers() == [("en", 7.0)]


def test_more_than_five_make_one_event_and_raise_the_total(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads
) -> None:
    (title,) = track(lastChapter="3")
    sim.publish_many([{"manga": title, "number": n} for n in ("1", "2.5", "3", "4", "5", "6")])
    run_job("chapter_feed")
    assert payloads() == [("new-chapter", {"chapter": 6, "chapters": [1, 2.5, 3, 4, 5, 6]})]
    assert connection.execute("SELECT total_chapters FROM manga").fetchone() == (6,)


@pytest.mark.parametrize("restarts", [False, True])
def test_what_another_program_wrote_that_is_no_number_hides_no_news(
    sim: Simulator,
    track: Track,
    run_job: RunJob,
    connection: Connection,
    payloads: Payloads,
    restarts: bool,
) -> None:
    (title,) = track()
    sim.publish(title, number="4", volume="1")
    run_job("chapter_feed")
    connection.execute(
        "INSERT INTO chapters (manga_id, chapter_number, translated_language)"
        " SELECT id, 'NaN', 'en' FROM manga"
    )
    connection.execute("UPDATE manga SET numbering_restarts = %s", [restarts])
    sim.publish(title, number="5", volume="1")
    run_job("chapter_feed")
    assert payloads()[-1][1]["chapter"] == 5


def test_a_total_never_falls(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    (title,) = track(lastChapter="180")
    sim.publish(title, number="21")
    run_job("chapter_feed")
    assert connection.execute("SELECT total_chapters FROM manga").fetchone() == (180,)


def test_a_baseline_is_fetched_once_and_then_fixed(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, long_ago: Ago
) -> None:
    (title,) = track()
    sim.publish(title, number="20", readableAt=long_ago(days=9))
    sim.publish(title, number="21")
    run_job("chapter_feed")
    baseline = "SELECT translated_language, latest_chapter FROM chapter_baselines"
    assert connection.execute(baseline.encode()).fetchall() == [("en", 20)]
    sim.publish(title, number="30", readableAt=long_ago(days=8))  # for chapter-check to find
    sim.publish(title, number="19.5")
    sim.publish(title, number="20", groups=["B"])
    sim.reset()
    assert run_job("chapter_feed").chapters_new == 0
    assert "/manga/{id}/feed" not in paths(sim)
    assert connection.execute(baseline.encode()).fetchall() == [("en", 20)]


def test_a_title_without_history_is_remembered_as_such(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    (title,) = track()
    sim.publish(title, number="1")
    run_job("chapter_feed", LANGUAGES="en,fr")
    baseline = "SELECT translated_language, latest_chapter FROM chapter_baselines ORDER BY 1"
    assert connection.execute(baseline.encode()).fetchall() == [("en", None), ("fr", None)]


def test_a_long_history_is_read_only_up_to_the_first_sync(
    sim: Simulator, track: Track, run_job: RunJob, payloads: Payloads, long_ago: Ago
) -> None:
    (title,) = track()
    sim.publish_many([
        {"manga": title, "number": str(n), "readableAt": long_ago(days=700 - n)}
        for n in range(1, 601)
    ])  # fmt: skip
    sim.publish(title, number="601")
    sim.reset()
    run_job("chapter_feed")
    assert payloads() == [("new-chapter", {"chapter": 601, "old_chapter": 600})]
    assert paths(sim)["/manga/{id}/feed"] == 2


def test_a_history_beyond_the_ceiling_is_read_from_both_ends(
    sim: Simulator, track: Track, run_job: RunJob, payloads: Payloads, long_ago: Ago,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(paging, "FEED_PAGE", 50)
    monkeypatch.setattr(paging, "MAX_WINDOW", 100)
    (title,) = track()
    sim.publish_many([
        {"manga": title, "number": str(n), "readableAt": long_ago(days=200 - n)}
        for n in range(1, 151)
    ])  # fmt: skip
    sim.publish(title, number="151")
    run_job("chapter_feed")
    assert payloads() == [("new-chapter", {"chapter": 151, "old_chapter": 150})]


def test_beyond_the_ceiling_every_title_becomes_due(
    sim: Simulator,
    track: Track,
    run_job: RunJob,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    long_ago: Ago,
) -> None:
    ids = track(3)
    connection.execute("UPDATE manga SET last_chapter_check = now()")
    sim.publish_many([
        {"manga": ids[0], "number": str(n), "readableAt": long_ago(minutes=400 - n)}
        for n in range(1, 301)
    ])  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(paging, "MAX_WINDOW", 200)
        patch.setattr(paging, "FEED_PAGE", 200)
        assert run_job("chapter_feed").chapters_new == 200
    assert connection.execute("SELECT count(last_chapter_check) FROM manga").fetchone() == (0,)
    assert "every title is due" in caplog.text
    assert run_job("chapter_check").chapters_new == 100


def test_a_source_that_goes_down_at_the_third_page_loses_nothing(
    sim: Simulator,
    track: Track,
    run_job: RunJob,
    connection: Connection,
    numbers: Numbers,
    long_ago: Ago,
) -> None:
    (title,) = track()
    sim.publish_many([
        {"manga": title, "number": str(n), "readableAt": long_ago(minutes=400 - n)}
        for n in range(1, 251)
    ])  # fmt: skip
    sim.fail("503", skip=2, count=None, paths="/chapter")
    with pytest.raises(SourceDown):
        run_job("chapter_feed")
    assert numbers() == [] and cursor_of(connection) is None
    sim.heal()
    assert run_job("chapter_feed").chapters_new == 250


@pytest.mark.parametrize("mode", ["204", "total_absent", "data_null", "not_json"])
def test_a_page_that_comes_empty_or_broken_midway_is_not_the_end_of_the_list(
    mode: str, sim: Simulator, track: Track, run_job: RunJob, connection: Connection,
    numbers: Numbers, long_ago: Ago,
) -> None:  # fmt: skip
    (title,) = track()
    sim.publish_many([
        {"manga": title, "number": str(n), "readableAt": long_ago(minutes=400 - n)}
        for n in range(1, 251)
    ])  # fmt: skip
    sim.fail(mode, skip=1, count=5, paths="/chapter")
    with suppress(SourceDown):
        run_job("chapter_feed")
    sim.heal()
    run_job("chapter_feed")
    assert len(numbers()) == 250


def test_an_upload_that_is_listed_twice_is_stored_once(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers
) -> None:
    (title,) = track()
    for number in ("1", "2", None):
        sim.publish(title, number=number)
    sim.fail("same_chapter_twice", paths="/chapter")
    run_job("chapter_feed")
    run_job("chapter_feed")
    assert sorted(numbers()) == [("en", 0.0), ("en", 1.0), ("en", 2.0)]


def test_an_empty_feed_is_no_baseline(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads,
    long_ago: Ago,
) -> None:  # fmt: skip
    (title,) = track()
    sim.publish(title, number="20", readableAt=long_ago(days=9))
    sim.publish(title, number="21")
    sim.fail("204", paths="/manga/*/feed")
    assert run_job("chapter_feed").failed == 1
    assert connection.execute("SELECT count(*) FROM chapter_baselines").fetchone() == (0,)
    run_job("chapter_check")
    assert payloads() == [("new-chapter", {"chapter": 21, "old_chapter": 20})]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param([1, 2, 3], False, id="all newer"),
        pytest.param([1, 2, 9], True, id="the end is older"),
        pytest.param([9, 2, 1], False, id="the wrong way round: more may follow"),
        pytest.param([1, 9, 2], False, id="one old among newer ones"),
        pytest.param([8, 9, 7], True, id="all older, whatever the order"),
        pytest.param([], False, id="nothing that could be read"),
    ],
)
def test_a_page_out_of_order_does_not_end_the_walk(hours: list[int], expected: bool) -> None:
    now = datetime.now(UTC)
    page = [
        Chapter(UUID(int=h), UUID(int=1), "en", None, None, None, None, 1, moment, moment,
                frozenset(), None, False)
        for h in hours
        for moment in [now - timedelta(hours=h)]
    ]  # fmt: skip
    assert feed.reaches(page, now - timedelta(hours=5)) is expected


def test_a_title_whose_feed_fails_stops_no_other_and_is_left_to_the_check(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, numbers: Numbers
) -> None:
    ids = track(3)
    connection.execute("UPDATE manga SET last_chapter_check = now()")
    for title in ids:
        sim.publish(title, number="5")
    sim.fail("500", paths=f"/manga/{ids[1]}/feed", count=None)
    summary = run_job("chapter_feed")
    assert (summary.chapters_new, summary.failed) == (2, 1)
    due = "SELECT mangadex_id::text FROM manga WHERE last_chapter_check IS NULL"
    assert connection.execute(due.encode()).fetchall() == [(ids[1],)]
    assert list(sync_state.read(connection, "chapter_feed").rejected) == [ids[1]]
    sim.heal()
    assert run_job("chapter_check").chapters_new == 1
    assert len(numbers()) == 3
    assert list(sync_state.read(connection, "chapter_feed").rejected) == []


def test_when_all_feeds_fail_the_source_is_down_and_the_cursor_stays(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, numbers: Numbers
) -> None:
    for title in track(3):
        sim.publish(title, number="5")
    sim.fail("500", paths="/manga/*/feed", count=None)
    with pytest.raises(SourceDown):
        run_job("chapter_feed")
    assert cursor_of(connection) is None
    sim.heal()
    assert run_job("chapter_feed").chapters_new == len(numbers()) == 3


def test_a_chapter_that_cannot_be_read_is_recorded_and_hides_no_other(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, numbers: Numbers
) -> None:
    (title,) = track()
    for number in ("5", "6", "7"):
        sim.publish(title, number=number)
    sim.fail("chapter_bad_date", paths="/chapter", position=1)
    summary = run_job("chapter_feed")
    assert (summary.chapters_new, summary.failed) == (2, 1)
    assert len(list(sync_state.read(connection, "chapter_feed").rejected)) == 1
    assert run_job("chapter_feed").chapters_new == 1  # it lies within the overlap
    assert list(sync_state.read(connection, "chapter_feed").rejected) == []
    assert sorted(numbers()) == [("en", 5.0), ("en", 6.0), ("en", 7.0)]


A_CHECK = "ALTER TABLE chapters ADD CONSTRAINT bad CHECK (chapter_number <> 666)"
A_TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no such number in this house'; END $$;
CREATE TRIGGER bad BEFORE INSERT ON chapters FOR EACH ROW WHEN (NEW.chapter_number = 666)
    EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        (A_CHECK, "ALTER TABLE chapters DROP CONSTRAINT bad"),
        (A_TRIGGER, "DROP TRIGGER bad ON chapters"),
    ],
    ids=["a check", "a trigger"],
)
def test_a_title_that_the_database_refuses_takes_no_other_along(
    sim: Simulator,
    track: Track,
    run_job: RunJob,
    connection: Connection,
    numbers: Numbers,
    rule: str,
    end: str,
) -> None:
    ids = track(4)
    connection.execute("UPDATE manga SET last_chapter_check = now()")
    run_job("chapter_feed")
    connection.execute(rule.encode())
    for number, title in enumerate(ids):
        sim.publish(title, number=str(number + 1))
    sim.publish(ids[2], number="666")
    summary = run_job("chapter_feed")
    assert (summary.chapters_new, summary.failed) == (3, 1)
    assert sorted(numbers()) == [("en", 1.0), ("en", 2.0), ("en", 4.0)]
    connection.execute(end.encode())
    assert run_job("chapter_check").chapters_new == 2


# --- kills ---------------------------------------------------------------------------------------

COMMIT_POINTS = [
    (baselines, "save_baselines"),
    (chapters, "apply_changes"),
    (chapters, "announce"),
    (outbox, "add_events"),
    (sync_state, "move_cursor"),
]


def fill(sim: Simulator, ids: list[str], long_ago: Ago) -> None:
    for place, title in enumerate(ids):
        sim.publish(title, number="9", readableAt=long_ago(days=5))
        for number in range(10, 12 + 3 * place):
            moment = long_ago(minutes=600 - 40 * number + place)
            sim.publish(title, number=str(number), readableAt=moment, groups=["A"])
            sim.publish(title, number=str(number), readableAt=moment, groups=["B"])
        sim.publish(title, number=None, readableAt=long_ago(minutes=30 + place))


@pytest.mark.parametrize(("module", "name"), COMMIT_POINTS, ids=[n for _, n in COMMIT_POINTS])
def test_a_run_killed_before_any_commit_ends_like_an_undisturbed_one(
    module: Any,
    name: str,
    sim: Simulator,
    track: Track,
    run_job: RunJob,
    connection: Connection,
    snapshot: Callable[[], list[list[tuple[Any, ...]]]],
    monkeypatch: pytest.MonkeyPatch,
    mocker: MockerFixture,
    long_ago: Ago,
) -> None:
    monkeypatch.setattr(news, "MAX_TITLES", 2)
    ids = track(4)
    fill(sim, ids, long_ago)
    for call in range(1, 30):
        with killed_at(mocker, module, name, call):
            run_job("chapter_feed")
            break
    disturbed = snapshot()
    assert run_job("chapter_feed").events == 0
    connection.execute("TRUNCATE chapters, chapter_baselines, chapter_announcements,"
                       " notification_events CASCADE")  # fmt: skip
    connection.execute("UPDATE sync_state SET last_cursor = NULL WHERE sync_type = 'chapter_feed'")
    run_job("chapter_feed")
    assert snapshot() == disturbed
    assert call > 1


def test_a_chapter_of_the_second_in_which_its_title_was_synced_is_news(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads
) -> None:
    """The API cuts its times to seconds, so that it seems to be from before."""
    (title,) = track()
    second = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    connection.execute(
        "UPDATE manga SET first_synced_at = %s", [second + timedelta(milliseconds=900)]
    )
    sim.publish(title, number="7", readableAt=(second - timedelta(seconds=1)).isoformat())
    sim.publish(title, number="8", readableAt=second.isoformat())
    run_job("chapter_feed")
    assert payloads() == [("new-chapter", {"chapter": 8, "old_chapter": 7})]
