"""Clocks that are wrong, here or at the source, whose date decides: nothing is lost or twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pytest_mock import MockerFixture

from batch.commands import sync
from batch.jobs import initial_sync, metadata_refresh, new_manga_poll
from batch.mangadex import client
from batch.models import Summary
from batch.store import sync_state
from mangadex_sim import Simulator
from sql.state.workflows import read_cursor

Connection = psycopg.Connection[tuple[Any, ...]]
Import = Callable[[], str]
SetClock = Callable[[float], None]
RunJob = Callable[..., Summary]
Track = Callable[..., list[str]]
Payloads = Callable[[], list[tuple[str, dict[str, Any]]]]

HOUR_S = 3_600
CHAPTER_JOBS = ("chapter_feed", "chapter_check")


@pytest.fixture
def import_titles(sim: Simulator, run_job: RunJob, connection: Connection) -> Callable[[], str]:
    """Run an initial sync of a site with one title, and return the title's id."""

    def run() -> str:
        (title,) = sim.add_titles(1, contentRating="safe", followedCount=9)
        sim.publish(title, number="1", language="en", readableAt=datetime(2020, 1, 1, tzinfo=UTC))
        run_job("initial_sync")
        return title

    return run


@pytest.fixture
def set_clock(mocker: MockerFixture) -> Callable[[float], None]:
    """`set_clock(1)`: the clock of this host is an hour ahead from now on."""

    def set_to(hours: float) -> None:
        for module in (sync, client, initial_sync, metadata_refresh, new_manga_poll):
            clock = mocker.patch.object(module, "datetime", wraps=datetime)
            clock.now.side_effect = lambda tz: datetime.now(tz) + timedelta(hours=hours)

    return set_to


def told(payloads: Payloads) -> list[object]:
    """The chapters that were announced."""
    return [payload["chapter"] for kind, payload in payloads() if kind == "new-chapter"]


def cursor_of(connection: Connection, name: str) -> datetime:
    cursor = read_cursor(sync_state.read(connection, name).last_cursor)
    assert cursor is not None
    return cursor


def is_now(moment: datetime) -> bool:
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


@pytest.mark.parametrize("name", CHAPTER_JOBS)
def test_with_a_clock_ahead_what_appears_after_the_first_sync_is_news_and_no_history(
    sim: Simulator,
    import_titles: Import,
    run_job: RunJob,
    set_clock: SetClock,
    payloads: Payloads,
    name: str,
) -> None:
    set_clock(1)
    title = import_titles()
    sim.shift_clock(60)
    sim.publish(title, number="2", language="en")
    sim.publish(title, number=None, language="en")
    assert run_job(name).chapters_new == 2
    set_clock(0)
    assert sorted(map(str, told(payloads))) == ["2", "None"]
    assert run_job(name).events == 0


@pytest.mark.parametrize("name", CHAPTER_JOBS)
def test_with_a_clock_ahead_no_chapter_is_announced_before_its_time(
    sim: Simulator,
    import_titles: Import,
    run_job: RunJob,
    set_clock: SetClock,
    payloads: Payloads,
    name: str,
) -> None:
    title = import_titles()
    set_clock(1)
    sim.publish(title, number="2", language="en", in_s=1_800)
    assert run_job(name).events == 0
    sim.shift_clock(1_900)
    assert run_job(name, CHAPTER_INTERVAL_HOURS="0").events == 1
    assert told(payloads) == [2]


def test_a_clock_that_jumps_to_and_fro_between_runs_loses_and_doubles_no_chapter(
    sim: Simulator,
    import_titles: Import,
    run_job: RunJob,
    set_clock: SetClock,
    payloads: Payloads,
    connection: Connection,
) -> None:
    title = import_titles()
    for number, hours in enumerate((0, 1, 0, -1, 0, -1, 1, 0), 2):
        set_clock(hours)
        sim.publish(title, number=str(number), language="en")
        run_job("chapter_feed")
        assert cursor_of(connection, "chapter_feed") <= datetime.now(UTC)
    assert sorted(map(float, map(str, told_one_by_one(payloads)))) == list(range(2, 10))


def told_one_by_one(payloads: Payloads) -> list[object]:
    """Also those of events that list several."""
    return [
        number
        for _, payload in payloads()
        for number in payload.get("chapters") or [payload["chapter"]]
    ]


def test_news_of_a_source_with_a_clock_ahead_is_announced_once_also_when_that_is_corrected(
    sim: Simulator,
    import_titles: Import,
    run_job: RunJob,
    set_clock: SetClock,
    payloads: Payloads,
    connection: Connection,
) -> None:
    title = import_titles()
    sim.shift_clock(HOUR_S)
    sim.publish(title, number="2", language="en")
    run_job("chapter_feed")
    sim.shift_clock(0)
    sim.publish(title, number="3", language="en")
    run_job("chapter_feed")
    sim.shift_clock(2 * HOUR_S)
    set_clock(2)
    run_job("chapter_feed")
    assert told(payloads) == [2, 3]


@pytest.mark.parametrize("days", [-14, 14], ids=["slow", "fast"])
@pytest.mark.parametrize("name", CHAPTER_JOBS)
def test_a_first_import_by_a_clock_two_weeks_wrong_tells_no_history_and_swallows_no_news(
    sim: Simulator,
    run_job: RunJob,
    set_clock: SetClock,
    payloads: Payloads,
    long_ago: Callable[..., str],
    days: int,
    name: str,
) -> None:
    title, _, _ = sim.add_titles(3, contentRating="safe", createdAt=long_ago(days=7))
    for number in ("7", None):
        sim.publish(title, number=number, readableAt=long_ago(days=3))
    set_clock(24 * days)
    run_job("initial_sync", limit=1, INITIAL_ORDER="createdAt")
    set_clock(0)
    sim.shift_clock(60)
    new = sim.add_title(contentRating="safe")
    for number in ("8", None):
        sim.publish(title, number=number)
    run_job(name)
    assert sorted(map(str, told(payloads))) == ["8", "None"]
    assert run_job("new_manga_poll").events == 1
    assert payloads()[-1][0] == "new-manga" and new


@pytest.mark.parametrize("days", [14, 365_000], ids=["two weeks", "a thousand years"])
def test_a_date_to_come_puts_no_title_off(
    import_titles: Import, run_job: RunJob, connection: Connection, days: int
) -> None:
    import_titles()
    connection.execute(
        "UPDATE manga SET last_synced_at = now() + %(days)s * interval '1 day',"
        " last_chapter_check = now() + %(days)s * interval '1 day'",
        {"days": days},
    )
    for job in ("chapter_check", "metadata_refresh"):
        assert [run_job(job).manga_seen for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("name", ["chapter_feed", "new_manga_poll"])
def test_a_cursor_in_the_future_is_not_believed_and_comes_back(
    sim: Simulator,
    import_titles: Import,
    run_job: RunJob,
    connection: Connection,
    name: str,
) -> None:
    title = import_titles()
    run_job(name)
    connection.execute(
        "UPDATE sync_state SET last_cursor = '2037-01-01T00:00:00', metadata = metadata ||"
        ' \'{"next_since": "2037-01-01T00:00:00", "next_skipped": 7}\' WHERE sync_type = %s',
        [name],
    )
    sim.publish(title, number="2", language="en")
    sim.add_title(contentRating="safe")
    assert run_job(name).events == 1
    assert is_now(cursor_of(connection, name))
    assert run_job(name).events == 0


def test_a_poll_follows_no_source_whose_clock_is_ahead_into_the_future(
    sim: Simulator,
    import_titles: Import,
    run_job: RunJob,
    connection: Connection,
) -> None:
    import_titles()
    sim.shift_clock(3 * HOUR_S)
    early = sim.add_title(contentRating="safe")
    assert run_job("new_manga_poll").manga_new == 1
    assert is_now(cursor_of(connection, "new_manga_poll"))
    sim.shift_clock(0)
    later = sim.add_title(contentRating="safe")
    assert run_job("new_manga_poll").manga_new == 1
    assert known(connection) >= {UUID(early), UUID(later)}


@pytest.mark.parametrize("hours", [-1, 1], ids=["behind", "ahead"])
def test_titles_that_follow_an_initial_sync_by_a_wrong_clock_are_found(
    sim: Simulator,
    import_titles: Import,
    run_job: RunJob,
    set_clock: SetClock,
    connection: Connection,
    hours: int,
) -> None:
    set_clock(hours)
    import_titles()
    sim.shift_clock(60)
    new = sim.add_title(contentRating="safe")
    assert run_job("new_manga_poll").manga_new == 1
    assert UUID(new) in known(connection)


def known(connection: Connection) -> set[UUID]:
    return {row[0] for row in connection.execute("SELECT mangadex_id FROM manga")}


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forwards"])
def test_due_titles_are_not_put_off_by_more_than_the_jump(
    import_titles: Import, run_job: RunJob, set_clock: SetClock, hours: int
) -> None:
    import_titles()
    for now, number in ((hours, 1), (0, 0), (48 + max(hours, 0), 1)):
        set_clock(now)
        assert run_job("chapter_check").manga_seen == number
