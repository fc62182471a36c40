"""The audit of single feeds: what the global list cannot see."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import psycopg
import pytest

from batch.errors import BatchError, SourceDown
from batch.jobs import chapter_check
from batch.jobs.chapter_check import Checked
from batch.models import Summary
from batch.store import sync_state
from batch.store.news import News
from mangadex_sim import Simulator

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]
Track = Callable[..., list[str]]
Payloads = Callable[[], list[tuple[str, dict[str, Any]]]]
Numbers = Callable[[], list[tuple[str, float]]]
Ago = Callable[..., str]


def feeds(sim: Simulator) -> int:
    found: int = sim.stats()["by_path"].get("/manga/{id}/feed", 0)
    return found


def make_due(connection: Connection) -> None:
    connection.execute("UPDATE manga SET last_chapter_check = now() - interval '49 hours'")


def test_due_titles_are_read_once_each_the_oldest_first(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    ids = track(5)
    hours = {ids[0]: 60, ids[1]: 47, ids[2]: 90, ids[3]: 49}  # and the last was never checked
    for title, age in hours.items():
        connection.execute(
            "UPDATE manga SET last_chapter_check = now() - make_interval(hours => %s)"
            " WHERE mangadex_id = %s",
            [age, title],
        )
    due = "SELECT mangadex_id::text FROM manga WHERE last_chapter_check > now() - interval '1 h'"

    def checked() -> set[str]:
        return {row[0] for row in connection.execute(due.encode())}

    assert run_job("chapter_check", limit=1).manga_seen == 1
    assert checked() == {ids[4]}
    assert run_job("chapter_check", CHAPTER_BATCH="2").requests == 2
    assert checked() == {ids[4], ids[2], ids[0]}
    assert run_job("chapter_check", full=True).manga_seen == 1
    assert run_job("chapter_check").manga_seen == 0
    assert run_job("chapter_check", CHAPTER_INTERVAL_HOURS="0").manga_seen == 5


def test_it_finds_what_became_new_and_nothing_twice(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads,
    numbers: Numbers, long_ago: Ago,
) -> None:  # fmt: skip
    (title,) = track()
    sim.publish(title, number="20", readableAt=long_ago(days=9))
    sim.publish(title, number="21", readableAt=long_ago(hours=3))
    sim.publish(title, number="21.5", readableAt=long_ago(hours=2))
    summary = run_job("chapter_check")
    assert (summary.chapters_new, summary.requests) == (2, 1)
    assert payloads() == [
        ("new-chapter", {"chapter": 21, "old_chapter": 20}),
        ("new-chapter", {"chapter": 21.5, "old_chapter": 21}),
    ]
    make_due(connection)
    assert run_job("chapter_check").chapters_new == run_job("chapter_feed").chapters_new == 0
    assert len(numbers()) == len(payloads()) == 2


def test_history_alone_is_no_news(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers, long_ago: Ago
) -> None:
    (title,) = track()
    for number in ("1", "2", None):
        sim.publish(title, number=number, readableAt=long_ago(days=9))
    assert run_job("chapter_check").chapters_new == 0
    assert numbers() == []


def test_a_feed_of_600_chapters_is_read_to_its_end(
    sim: Simulator, track: Track, run_job: RunJob, payloads: Payloads, long_ago: Ago
) -> None:
    (title,) = track()
    sim.publish_many([
        {"manga": title, "number": str(n), "readableAt": long_ago(days=700 - n)}
        for n in range(1, 599)
    ])  # fmt: skip
    sim.publish(title, number="599", readableAt=long_ago(days=705), createdAt=long_ago(hours=1))
    sim.publish(title, number="600")
    sim.reset()
    assert run_job("chapter_check").chapters_new == 2
    assert feeds(sim) == 2
    assert [payload["chapter"] for _, payload in payloads()] == [599, 600]


def test_it_finds_a_back_dated_chapter_that_the_feed_did_not(
    sim: Simulator, track: Track, run_job: RunJob, numbers: Numbers, long_ago: Ago
) -> None:
    (title,) = track(days=0.1)
    stranger = sim.add_title()
    sim.publish_many([
        {"manga": stranger, "number": str(n), "readableAt": long_ago(minutes=n)}
        for n in range(120)
    ])  # fmt: skip
    run_job("chapter_feed")
    sim.publish(title, number="5", readableAt=long_ago(days=4), createdAt=long_ago(minutes=1))
    assert run_job("chapter_feed").chapters_new == 0
    assert run_job("chapter_check").chapters_new == 1
    assert numbers() == [("en", 5.0)]


def test_the_row_of_a_corrected_chapter_follows_and_is_announced_once(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads,
    numbers: Numbers,
) -> None:  # fmt: skip
    (title,) = track()
    upload = sim.publish(title, number="5")
    run_job("chapter_check")
    for number, told in (("6", [5, 6]), ("5", [5, 6]), ("6", [5, 6]), ("7.5", [5, 6, 7.5])):
        sim.edit_chapter(upload, number=number)
        make_due(connection)
        run_job("chapter_check")
        assert numbers() == [("en", float(number))]
        assert [payload["chapter"] for _, payload in payloads()] == told


def test_shifted_and_exchanged_numbers_keep_their_rows(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    (title,) = track()
    uploads = [sim.publish(title, number=str(n)) for n in (1, 2, 3, 4)]
    run_job("chapter_check")
    rows = "SELECT id, mangadex_chapter_id::text, chapter_number::int FROM chapters ORDER BY id"
    before = connection.execute(rows.encode()).fetchall()
    for upload, number in zip(uploads, (2, 3, 4, 1), strict=True):
        sim.edit_chapter(upload, number=str(number))
    make_due(connection)
    run_job("chapter_check")
    after = connection.execute(rows.encode()).fetchall()
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert [row[2] for row in after] == [2, 3, 4, 1]


def test_a_correction_to_a_taken_number_leaves_one_row(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads,
    numbers: Numbers,
) -> None:  # fmt: skip
    (title,) = track()
    sim.publish(title, number="5")
    wrong = sim.publish(title, number="6")
    run_job("chapter_check")
    sim.edit_chapter(wrong, number="5")
    make_due(connection)
    run_job("chapter_check")
    assert numbers() == [("en", 5.0)]
    sim.publish(title, number="6")
    make_due(connection)
    run_job("chapter_check")
    assert numbers() == [("en", 5.0), ("en", 6.0)]
    assert len(payloads()) == 2  # 6 was told before


@pytest.mark.parametrize("how", ["taken down", "removed"])
def test_a_number_passes_to_another_upload_when_its_own_is_gone(
    how: str, sim: Simulator, track: Track, run_job: RunJob, connection: Connection,
    payloads: Payloads,
) -> None:  # fmt: skip
    (title,) = track()
    first = sim.publish(title, number="5")
    run_job("chapter_check")
    second = sim.publish(title, number="5", groups=["B"])
    (sim.make_unavailable if how == "taken down" else sim.remove_chapter)(first)
    make_due(connection)
    assert run_job("chapter_check").chapters_new == 0
    upload = "SELECT mangadex_chapter_id::text FROM chapters"
    assert connection.execute(upload.encode()).fetchall() == [(second,)]
    assert len(payloads()) == 1


def test_nothing_is_deleted_because_it_is_not_listed(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, numbers: Numbers
) -> None:
    first, second = track(2)
    kept = [sim.publish(first, number=n) for n in ("5", "6")]
    sim.publish(second, number="5")
    run_job("chapter_check")
    before = numbers()
    sim.make_unavailable(kept[0])
    sim.remove_chapter(kept[1])
    sim.remove_title(second)
    make_due(connection)
    run_job("chapter_check")
    assert numbers() == before
    assert connection.execute("SELECT count(last_chapter_check) FROM manga").fetchone() == (2,)


def test_titles_that_are_unavailable_are_not_asked_for(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    track(2)
    connection.execute("UPDATE manga SET unavailable_at = now() WHERE id % 2 = 0")
    assert run_job("chapter_check").manga_seen == 1


def test_chapters_of_titles_with_an_unwanted_rating_are_no_news(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, numbers: Numbers
) -> None:
    (title,) = track()
    sim.edit_title(title, contentRating="pornographic")
    sim.publish(title, number="5")
    run_job("chapter_check")
    run_job("chapter_feed")
    assert numbers() == []
    sim.edit_title(title, contentRating="safe")
    make_due(connection)
    run_job("chapter_check")
    assert numbers() == [("en", 5.0)]


def test_the_feed_and_the_check_at_the_same_time_tell_everything_once(
    sim: Simulator, track: Track, start_program: Callable[..., Any], connection: Connection,
    environment: Callable[..., dict[str, str]], payloads: Payloads,
) -> None:  # fmt: skip
    ids = track(20)
    sim.publish_many([{"manga": title, "number": str(n)} for n in (1, 2, 3) for title in ids])
    env = environment(sim)
    programs = [start_program("batch", job, env=env) for job in ("chapter-feed", "chapter-check")]
    outputs = [program.communicate(timeout=60)[1] for program in programs]
    assert [program.returncode for program in programs] == [0, 0], outputs
    assert len(payloads()) == 60
    assert connection.execute("SELECT count(*) FROM chapters").fetchone() == (60,)


def test_a_title_of_an_adopted_database_is_judged_by_its_total(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads,
    long_ago: Ago,
) -> None:  # fmt: skip
    (title,) = track()
    connection.execute("INSERT INTO chapter_baselines (manga_id, translated_language,"
                       " latest_chapter) SELECT id, '*', 180 FROM manga")  # fmt: skip
    for number in ("179", "181"):
        sim.publish(title, number=number, readableAt=long_ago(days=9))
    sim.publish(title, number="180", language="fr")
    run_job("chapter_check", LANGUAGES="en,fr")
    assert payloads() == [("new-chapter", {"chapter": 181, "old_chapter": 180})]


def test_volumes_count_first_where_numbering_restarts(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads,
    long_ago: Ago,
) -> None:  # fmt: skip
    (title,) = track(chapterNumbersResetOnNewVolume=True)
    sim.publish(title, volume="1", number="12", readableAt=long_ago(days=9))
    for volume, number in (("1", "12"), ("2", "1"), ("3", "1"), ("1", "5")):
        sim.publish(title, volume=volume, number=number)
    assert run_job("chapter_check").chapters_new == 2
    rows = connection.execute("SELECT volume, chapter_number::int FROM chapters ORDER BY id")
    assert rows.fetchall() == [("2", 1), ("3", 1)]
    assert payloads() == [
        ("new-chapter", {"chapter": 1, "old_chapter": 12}),
        ("new-chapter", {"chapter": 1, "old_chapter": 1}),
    ]


def test_numbers_that_come_to_restart_are_not_announced_again(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, payloads: Payloads
) -> None:
    (title,) = track()
    sim.publish(title, volume="1", number="1")
    run_job("chapter_check")
    connection.execute("UPDATE manga SET numbering_restarts = true")
    make_due(connection)
    sim.publish(title, volume="2", number="1")
    assert run_job("chapter_check").chapters_new == 1
    scopes = connection.execute("SELECT number_scope FROM chapters ORDER BY id").fetchall()
    assert scopes == [("volume:1",), ("volume:2",)]
    assert len(payloads()) == 2


def test_one_feed_that_fails_leaves_the_others_done(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    ids = track(4)
    for title in ids:
        sim.publish(title, number="5")
    sim.fail("500", paths=f"/manga/{ids[1]}/feed", count=None)
    with pytest.raises(SourceDown):
        run_job("chapter_check")
    checked = "SELECT count(*) FROM manga WHERE last_chapter_check IS NOT NULL"
    assert connection.execute(checked.encode()).fetchone() == (3,)
    sim.heal()
    assert run_job("chapter_check").chapters_new == 1


def test_a_feed_that_is_refused_is_recorded_and_not_asked_again_at_once(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    ids = track(2)
    sim.fail("400_json", paths=f"/manga/{ids[0]}/feed")
    assert run_job("chapter_check").failed == 1
    assert list(sync_state.read(connection, "chapter_check").rejected) == [ids[0]]
    assert run_job("chapter_check").manga_seen == 0
    make_due(connection)
    assert run_job("chapter_check").failed == 0
    assert list(sync_state.read(connection, "chapter_check").rejected) == []


@pytest.mark.parametrize(("kind", "most"), [("400_json", 3 + 20), ("404_json", 10 + 20)])
def test_a_source_that_refuses_every_feed_ends_the_run(
    sim: Simulator, track: Track, run_job: RunJob, kind: str, most: int
) -> None:
    track(40)
    sim.fail(kind, count=None)
    with pytest.raises(BatchError, match="the source refuses one feed after another: GET /manga"):
        run_job("chapter_check")
    assert sim.stats()["total"] <= most


@pytest.mark.parametrize(
    ("kinds", "is_the_end"),
    [("", False), ("rr", False), ("rrr", True), ("uuuuuuuuu", False), ("uuuuuuuuuu", True),
     ("rururu", True), ("ruruuu", False)],
)  # fmt: skip
def test_refusals_in_a_row_are_no_matter_of_single_titles(kinds: str, is_the_end: bool) -> None:
    """`r` stands for a feed that was refused, `u` for a title that the source does not know."""
    refused = [Checked(UUID(int=1), 0, News(), "no", is_unknown=kind == "u") for kind in kinds]
    with pytest.raises(BatchError) if is_the_end else nullcontext():
        chapter_check.require_few(refused)


def test_a_title_that_the_database_refuses_takes_no_other_along(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection, numbers: Numbers
) -> None:
    ids = track(3)
    connection.execute("ALTER TABLE chapters ADD CONSTRAINT bad CHECK (chapter_number <> 666)")
    for title in ids:
        sim.publish(title, number="5")
    sim.publish(ids[1], number="666")
    summary = run_job("chapter_check")
    assert (summary.chapters_new, summary.failed) == (2, 1)
    assert list(sync_state.read(connection, "chapter_check").rejected) == [ids[1]]
    assert len(numbers()) == 2
