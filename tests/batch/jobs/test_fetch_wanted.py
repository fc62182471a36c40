"""Titles that readers' lists name, from the stand-in API into their libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pytest_mock import MockerFixture

from batch.errors import SourceDown
from batch.jobs import fetch_wanted
from batch.models import Summary
from batch.store import wanted
from mangadex_sim import Simulator
from readers.lists import retrying
from readers.lists.entries.entry import Entry, make_entry
from readers.lists.importing import import_list
from readers.lists.reading import collect
from readers.users import User, add_user
from tests.support.kills import killed_at
from tests.support.programs import Programs
from tests.support.waiting import wait_until

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]
Ago = Callable[..., str]


@pytest.fixture
def mika(connection: Connection) -> User:
    return add_user(connection, "mika", None, None)


def bring(connection: Connection, user: User, entries: Sequence[Entry]) -> None:
    import_list(connection, user, collect("mdlist", entries))


def by_id(*ids: str, status: str = "reading", progress: float = 3) -> list[Entry]:
    return [make_entry(mangadex_id=UUID(id), status=status, progress=progress) for id in ids]


def library(connection: Connection, user: User) -> set[str]:
    rows = connection.execute(
        "SELECT mangadex_id::text FROM user_library JOIN manga ON manga.id = manga_id"
        " WHERE user_id = %s",
        [user.id],
    )
    return {row[0] for row in rows}


def states(connection: Connection) -> list[tuple[str, int]]:
    rows = connection.execute(
        "SELECT state, count(*) FROM import_entries GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [(state, count) for state, count in rows]


def told(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT message FROM notifications ORDER BY id")]


def test_wanted_titles_come_into_the_libraries_with_status_and_progress(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    first, second = sim.add_titles(2)
    jo = add_user(connection, "jo", None, None)
    bring(connection, mika, by_id(first, second, status="completed", progress=12))
    bring(connection, jo, by_id(second))
    summary = run_job("fetch_wanted")
    assert (summary.requests, summary.manga_new, summary.extra["matched"]) == (1, 2, 3)
    assert library(connection, mika) == {first, second}
    assert library(connection, jo) == {second}
    assert states(connection) == [("matched", 3)]
    progress = connection.execute(
        "SELECT status, current_chapter FROM user_progress WHERE user_id = %s", [mika.id]
    ).fetchall()
    assert progress == [("completed", 12)] * 2
    assert len(told(connection)) == 2
    assert connection.execute("SELECT count(*) FROM notification_events").fetchone() == (0,)


def test_without_any_the_source_is_not_asked(
    run_job: RunJob, sim: Simulator, connection: Connection
) -> None:
    connection.execute(
        "INSERT INTO mangahub_meta VALUES ('source', '{\"state\": \"trouble\"}')"  # would be probed
    )
    summary = run_job("fetch_wanted")
    assert (summary.status, summary.requests) == ("skipped", 0)
    assert sim.stats()["total"] == 0


def test_a_thousand_old_numbers_are_ten_requests_and_one(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    sim.add_titles(1_000)
    bring(connection, mika, [make_entry(legacy_id=n) for n in range(1, 1_001)])
    summary = run_job("fetch_wanted")
    assert (summary.requests, summary.extra["matched"]) == (11, 1_000)
    assert sim.stats()["by_path"] == {"/legacy/mapping": 1, "/manga": 10}
    assert states(connection) == [("matched", 1_000)]


def test_an_old_number_that_is_not_known_is_unmatched_and_kept(
    run_job: RunJob, connection: Connection, mika: User
) -> None:
    bring(connection, mika, [make_entry(legacy_id=59_999, title="Lost", progress=4)])
    assert run_job("fetch_wanted").extra["missing"] == 1
    row = connection.execute("SELECT state, title, progress, why FROM import_entries").fetchone()
    assert row is not None and row[:3] == ("unmatched", "Lost", 4)
    assert "59999" in row[3]
    assert run_job("fetch_wanted").status == "skipped"


def test_two_404s_make_a_title_gone_and_its_entry_stays(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    here, gone = sim.add_titles(2)
    sim.remove_title(gone)
    bring(connection, mika, by_id(here, gone))
    run_job("fetch_wanted")
    assert states(connection) == [("matched", 1), ("wanted", 1)]
    summary = run_job("fetch_wanted")
    assert (summary.requests, summary.extra["missing"]) == (2, 1)
    assert states(connection) == [("matched", 1), ("unmatched", 1)]
    assert run_job("fetch_wanted").status == "skipped"


def test_a_title_that_comes_back_before_the_second_404_is_taken(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    (title,) = sim.add_titles(1)
    sim.remove_title(title)
    bring(connection, mika, by_id(title))
    run_job("fetch_wanted")
    sim.restore_title(title)
    run_job("fetch_wanted")
    assert library(connection, mika) == {title}


def test_many_missing_titles_are_asked_for_singly_over_several_runs(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User, mocker: Any
) -> None:
    mocker.patch.object(fetch_wanted, "MOST_MISSING", 3)
    here = sim.add_title()
    bring(connection, mika, by_id(*(str(uuid4()) for _ in range(5)), here))
    assert [run_job("fetch_wanted").requests for _ in range(4)] == [4, 4, 4, 2]
    assert states(connection) == [("matched", 1), ("unmatched", 5)]


def test_a_title_of_any_content_rating_is_wanted(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    title = sim.add_title(contentRating="pornographic")
    bring(connection, mika, by_id(title))
    run_job("fetch_wanted")
    assert library(connection, mika) == {title}


def test_a_title_that_cannot_be_stored_waits_an_hour_and_is_named(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    bad, good = sim.add_title(status="unheard of"), sim.add_title()
    sim.fail("title_without_attributes", position=0, count=1)
    bring(connection, mika, by_id(bad, good))
    assert run_job("fetch_wanted").failed == 1
    assert states(connection) == [("matched", 1), ("wanted", 1)]
    assert run_job("fetch_wanted").requests == 0
    connection.execute("UPDATE import_entries SET asked_at = now() - interval '61 minutes'")
    assert run_job("fetch_wanted").requests == 1


def test_a_mapping_that_the_source_refuses_keeps_nothing_else_back(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    title = sim.add_title()
    sim.fail("400_json", paths=["/legacy/mapping"])
    bring(connection, mika, [*by_id(title), make_entry(legacy_id=1, title="Old")])
    assert run_job("fetch_wanted").failed == 1
    assert library(connection, mika) == {title}
    assert run_job("fetch_wanted").requests == 0  # for an hour


def test_what_came_before_the_source_failed_is_in_the_libraries(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    bring(connection, mika, by_id(*sim.add_titles(150)))
    sim.fail("500", skip=1, count=None)
    with pytest.raises(SourceDown):
        run_job("fetch_wanted")
    assert states(connection) == [("matched", 100), ("wanted", 50)]
    sim.heal()
    run_job("fetch_wanted")
    assert states(connection) == [("matched", 150)]
    assert len(library(connection, mika)) == 150


@pytest.mark.parametrize(("module", "name"), [(wanted, "mark_missing"), (retrying, "retry_wanted")])
def test_a_kill_repeats_work_and_loses_nothing(
    run_job: RunJob,
    sim: Simulator,
    connection: Connection,
    mika: User,
    mocker: MockerFixture,
    module: ModuleType,
    name: str,
) -> None:
    ids = sim.add_titles(3)
    bring(connection, mika, by_id(*ids))
    with killed_at(mocker, module, name, 1):
        run_job("fetch_wanted")
    run_job("fetch_wanted")
    assert library(connection, mika) == set(ids)
    assert len(told(connection)) == 1


def test_a_title_that_the_poll_would_have_announced_is_announced(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User, long_ago: Ago
) -> None:
    run_job("initial_sync")
    sim.add_title(title="First", createdAt=long_ago(days=9))
    run_job("initial_sync", full=True)
    old = sim.add_title(title="Old", createdAt=long_ago(days=9))
    later = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    new = sim.add_title(title="New", createdAt=later)
    other = sim.add_title(title="Other", createdAt=later, contentRating="pornographic")
    bring(connection, mika, by_id(old, new, other))
    run_job("fetch_wanted")
    rows = connection.execute("SELECT payload ->> 'title' FROM notification_events").fetchall()
    assert rows == [("New",)]


def test_chapters_from_before_are_no_news_and_later_ones_are(
    run_job: RunJob,
    sim: Simulator,
    connection: Connection,
    mika: User,
    payloads: Callable[[], list[tuple[str, dict[str, Any]]]],
    long_ago: Ago,
) -> None:
    title = sim.add_title()
    sim.publish(title, number="7", language="en", readableAt=long_ago(hours=1))
    bring(connection, mika, by_id(title))
    run_job("fetch_wanted")
    run_job("chapter_feed")
    run_job("chapter_check", full=True)
    assert payloads() == []
    connection.execute("UPDATE manga SET first_synced_at = now() - interval '10 minutes'")
    sim.publish(title, number="8", language="en")
    run_job("chapter_feed")
    assert [payload["chapter"] for _, payload in payloads()] == [8]


def test_old_numbers_of_any_length_fit_into_the_bodies_that_the_source_takes(
    run_job: RunJob, sim: Simulator, connection: Connection, mika: User
) -> None:
    sim.add_titles(1)
    numbers = [1, *range(2_147_480_000, 2_147_482_000)]
    bring(connection, mika, [make_entry(legacy_id=n) for n in numbers])
    summary = run_job("fetch_wanted")
    assert (summary.failed, summary.extra["matched"], summary.extra["missing"]) == (0, 1, 2_000)
    assert sim.stats()["by_path"]["/legacy/mapping"] == 3
    assert list(fetch_wanted.bodies([])) == []


def test_a_program_that_is_killed_is_completed_by_the_next(
    simulator: Callable[..., Simulator],
    programs: Programs,
    connection: Connection,
    database_url: str,
    mika: User,
) -> None:
    slow = simulator(titles=350, rate=0, latency_s=0.2)
    ids = slow.title_ids(0, 350)
    bring(connection, mika, by_id(*ids))
    env = {"DATABASE_URL": database_url, "MANGADEX_API_URL": slow.url}
    process = programs.start("batch", "fetch-wanted", env=env)

    def is_under_way() -> bool:
        row = connection.execute("SELECT count(*) FROM manga").fetchone()
        return row is not None and row[0] > 0

    wait_until(is_under_way)
    process.kill()
    process.wait(10)
    assert len(library(connection, mika)) < 350
    assert programs.run("batch", "fetch-wanted", env=env).code == 0
    assert library(connection, mika) == set(ids)
    assert len(told(connection)) == 1
