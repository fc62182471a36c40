"""What the source said wrongly and puts right later: news goes on, and history stays untold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from batch.models import Summary
from batch.store import sync_state
from mangadex_sim import Simulator

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]
Track = Callable[..., list[str]]
Payloads = Callable[[], list[tuple[str, dict[str, Any]]]]
Ago = Callable[..., str]
Withdraw = Callable[[Simulator, str], object]

# What happens to an upload with the number 1320, and the highest number then.
WITHDRAWN = [
    pytest.param(lambda sim, upload: sim.edit_chapter(upload, number="132"), 132, id="corrected"),
    pytest.param(lambda sim, upload: sim.edit_chapter(upload, language="fr"), 131, id="moved"),
    pytest.param(lambda sim, upload: sim.remove_chapter(upload), 131, id="removed"),
    pytest.param(lambda sim, upload: sim.make_unavailable(upload), 131, id="taken down"),
]


@pytest.fixture
def check(run_job: RunJob, connection: Connection) -> Callable[[], Summary]:
    """Runs a check of all titles."""

    def run() -> Summary:
        connection.execute("UPDATE manga SET last_chapter_check = NULL")
        return run_job("chapter_check", full=True)

    return run


@pytest.fixture
def told(payloads: Payloads) -> Callable[[], list[tuple[Any, Any]]]:
    """Chapter and `old_chapter` of each event, in order."""
    return lambda: [(payload["chapter"], payload.get("old_chapter")) for _, payload in payloads()]


def total(connection: Connection) -> int | None:
    row = connection.execute("SELECT total_chapters FROM manga").fetchone()
    return row[0] if row else None


@pytest.mark.parametrize(("withdraw", "left"), WITHDRAWN)
def test_a_baseline_falls_with_the_upload_that_it_rests_on(
    sim: Simulator, track: Track, run_job: RunJob, check: Callable[[], Summary], long_ago: Ago,
    told: Callable[[], list[Any]], withdraw: Withdraw, left: int,
) -> None:  # fmt: skip
    (title,) = track()
    *_, wrong = (
        sim.publish(title, number=number, readableAt=long_ago(days=9))
        for number in ("130", "131", "1320")
    )
    sim.publish(title, number="133")
    run_job("chapter_feed")
    assert told() == []
    withdraw(sim, wrong)
    sim.publish(title, number="134")
    run_job("chapter_feed")
    check()
    assert told() == [(133, left), (134, 133)]
    sim.publish(title, number="135")
    run_job("chapter_feed")
    check()
    assert told()[2:] == [(135, 134)]


def test_an_upload_below_the_baseline_makes_its_title_due_for_a_check(
    sim: Simulator, track: Track, run_job: RunJob, long_ago: Ago, told: Callable[[], list[Any]]
) -> None:
    (title, _) = track(2)
    sim.publish(title, number="131", readableAt=long_ago(days=9))
    wrong = sim.publish(title, number="1320", readableAt=long_ago(days=9))
    sim.publish(title, number="133")
    run_job("chapter_check")
    sim.edit_chapter(wrong, number="132")
    sim.publish(title, number="134")
    assert run_job("chapter_feed").events == 0
    assert run_job("chapter_check").manga_seen == 1
    assert told() == [(133, 132), (134, 133)]
    run_job("chapter_feed")
    assert run_job("chapter_check").manga_seen == 0


def test_the_total_of_an_adopted_title_falls_with_the_upload_that_it_was(
    sim: Simulator, track: Track, check: Callable[[], Summary], long_ago: Ago,
    told: Callable[[], list[Any]], connection: Connection,
) -> None:  # fmt: skip
    (title,) = track()
    for number in ("130", "131"):
        sim.publish(title, number=number, readableAt=long_ago(days=9))
    wrong = sim.publish(title, number="1320", readableAt=long_ago(days=9))
    connection.execute(
        "INSERT INTO chapters (manga_id, chapter_number, mangadex_chapter_id)"
        " SELECT id, 1320, %s FROM manga", [wrong],
    )  # fmt: skip
    connection.execute(
        "INSERT INTO chapter_baselines (manga_id, translated_language, latest_chapter)"
        " SELECT id, '*', 1320 FROM manga"
    )
    sim.publish(title, number="133")
    check()
    assert told() == []
    sim.edit_chapter(wrong, number="132")
    check()
    assert told() == [(133, 132)]


def test_what_comes_back_after_a_baseline_fell_is_history(
    sim: Simulator, track: Track, run_job: RunJob, check: Callable[[], Summary], long_ago: Ago,
    told: Callable[[], list[Any]],
) -> None:  # fmt: skip
    (title,) = track()
    old = [
        sim.publish(title, number=str(number), readableAt=long_ago(days=9))
        for number in range(1, 21)
    ]
    check()
    for upload in old[10:]:
        sim.make_unavailable(upload)
    sim.publish(title, number="21")
    check()
    assert told() == [(21, 10)]
    for upload in old[15:]:
        sim.make_unavailable(upload, value=False)
    for number in ("11", "12"):
        sim.publish(title, number=number, groups=["Another"])
    run_job("chapter_feed")
    check()
    assert len(told()) == 1


def test_a_feed_that_came_empty_lowers_nothing(
    sim: Simulator, track: Track, check: Callable[[], Summary], long_ago: Ago,
    told: Callable[[], list[Any]],
) -> None:  # fmt: skip
    (title,) = track()
    old = sim.publish(title, number="20", readableAt=long_ago(days=9))
    wanted = sim.publish(title, number="21")
    check()
    for upload in (old, wanted):
        sim.remove_chapter(upload)
    check()
    sim.publish(title, number="19", language="fr")
    check()
    assert told() == [(21, 20)]


@pytest.mark.parametrize(("withdraw", "left"), WITHDRAWN)
def test_an_upload_that_is_gone_is_not_what_was_known_before(
    sim: Simulator, track: Track, run_job: RunJob, check: Callable[[], Summary], long_ago: Ago,
    told: Callable[[], list[Any]], connection: Connection, withdraw: Withdraw, left: int,
) -> None:  # fmt: skip
    (title,) = track()
    sim.publish(title, number="131", readableAt=long_ago(days=9))
    wrong = sim.publish(title, number="1320")
    run_job("chapter_feed")
    assert (told(), total(connection)) == ([(1320, 131)], 1320)
    withdraw(sim, wrong)
    check()
    assert total(connection) == left
    if left == 131:
        sim.publish(title, number="132")
    sim.publish(title, number="133")
    run_job("chapter_feed")
    assert told()[1:] == [(132, 131), (133, 132)]
    assert total(connection) == 133


def test_a_late_number_is_told_at_once_by_what_is_left(
    sim: Simulator, track: Track, run_job: RunJob, told: Callable[[], list[Any]],
    connection: Connection,
) -> None:  # fmt: skip
    (title,) = track()
    sim.publish(title, number="131")
    wrong = sim.publish(title, number="1320")
    run_job("chapter_feed")
    sim.remove_chapter(wrong)
    sim.publish(title, number="132")
    assert run_job("chapter_feed").requests == 2
    assert (told()[2:], total(connection)) == ([(132, 131)], 132)
    sim.publish(title, number="131.5")
    run_job("chapter_feed")
    assert told()[3:] == [(131.5, 132)]
    assert run_job("chapter_feed").requests == 1


@pytest.mark.parametrize("how", ["it fails", "it comes empty"])
def test_a_late_number_is_told_also_where_its_feed_is_of_no_use(
    sim: Simulator, track: Track, run_job: RunJob, told: Callable[[], list[Any]],
    connection: Connection, how: str,
) -> None:  # fmt: skip
    (title,) = track()
    sim.publish(title, number="23")
    run_job("chapter_feed")
    sim.publish(title, number="22")
    mode = "400_json" if how == "it fails" else "204"
    sim.fail(mode, paths=f"/manga/{title}/feed", count=None)
    run_job("chapter_feed")
    assert told() == [(23, None), (22, 23)]
    assert connection.execute("SELECT count(unavailable_at) FROM chapters").fetchone() == (0,)


def test_an_upload_that_comes_back_counts_again(
    sim: Simulator, track: Track, run_job: RunJob, check: Callable[[], Summary],
    told: Callable[[], list[Any]], connection: Connection,
) -> None:  # fmt: skip
    (title,) = track()
    for number in ("1", "2"):
        upload = sim.publish(title, number=number)
    check()
    sim.make_unavailable(upload)
    check()
    assert total(connection) == 1
    sim.make_unavailable(upload, value=False)
    sim.publish(title, number="3")
    check()
    assert told() == [(1, None), (2, 1), (3, 2)]
    assert connection.execute("SELECT count(unavailable_at) FROM chapters").fetchone() == (0,)


def test_chapters_of_a_language_that_is_not_asked_for_any_more_are_not_gone(
    sim: Simulator, track: Track, run_job: RunJob, connection: Connection
) -> None:
    (title,) = track()
    for language in ("en", "fr"):
        sim.publish(title, number="5", language=language)
    run_job("chapter_check", LANGUAGES="en,fr")
    connection.execute("UPDATE manga SET last_chapter_check = NULL")
    run_job("chapter_check", LANGUAGES="fr")
    assert connection.execute("SELECT count(unavailable_at) FROM chapters").fetchone() == (0,)


def test_an_upload_without_a_volume_takes_no_later_chapters_place(
    sim: Simulator, track: Track, run_job: RunJob, check: Callable[[], Summary],
    told: Callable[[], list[Any]], connection: Connection,
) -> None:  # fmt: skip
    (title,) = track(chapterNumbersResetOnNewVolume=True)
    first = sim.publish(title, number="1", volume=None)
    sim.publish(title, number="1", volume=None, groups=["Another"])
    run_job("chapter_feed")
    assert told() == [(1, None)]
    sim.edit_chapter(first, volume="3")
    check()
    assert told() == [(1, None)]
    second = sim.publish(title, number="1", volume=None)
    run_job("chapter_feed")
    assert len(told()) == 2
    sim.edit_chapter(second, volume="4")
    check()
    scopes = "SELECT number_scope FROM chapters WHERE mangadex_chapter_id = ANY(%s) ORDER BY id"
    found = connection.execute(scopes.encode(), [[first, second]]).fetchall()
    assert (len(told()), found) == (2, [("volume:3",), ("volume:4",)])


@pytest.mark.parametrize("name", ["chapter_feed", "chapter_check"])
def test_numbers_that_the_column_cannot_hold_vanish_into_no_other(
    sim: Simulator, track: Track, run_job: RunJob, told: Callable[[], list[Any]], name: str
) -> None:
    (title,) = track()
    for number in ("12", "12.001", "12.002", "12.10"):
        sim.publish(title, number=number)
    run_job(name)
    assert sorted(str(chapter) for chapter, _ in told()) == ["12", "12.1", "None", "None"]
    assert run_job(name).events == 0


@pytest.mark.parametrize("date", ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"])
@pytest.mark.parametrize("name", ["chapter_feed", "chapter_check"])
def test_a_date_that_python_cannot_hold_costs_nothing_and_is_named(
    sim: Simulator, track: Track, run_job: RunJob, told: Callable[[], list[Any]],
    connection: Connection, caplog: pytest.LogCaptureFixture, date: str, name: str,
) -> None:  # fmt: skip
    ids = track(2)
    for title in ids:
        sim.publish(title, number="5")
    run_job(name)
    connection.execute("UPDATE chapters SET published_at = %s WHERE id = 1", [date])
    connection.execute("UPDATE manga SET last_chapter_check = NULL")
    connection.execute(
        "UPDATE manga SET last_synced_at = %(date)s, last_chapter_check = %(date)s WHERE id = 1",
        {"date": date},
    )
    for title in ids:
        sim.publish(title, number="6")
    run_job(name)
    assert told() == [(5, None), (5, None), (6, 5), (6, 5)]
    assert "The date of a stored chapter cannot be read chapter=1" in caplog.text
    assert run_job("metadata_refresh", REFRESH_HOURS="0").manga_seen == 2


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("CHECK (title <> 'Bad')", id="a check"),
        pytest.param("CHECK (external_url NOT LIKE '%bad%')", id="a check of the link"),
    ],
)
def test_a_text_that_cannot_be_stored_does_not_cost_the_announcement(
    sim: Simulator, track: Track, run_job: RunJob, told: Callable[[], list[Any]],
    connection: Connection, rule: str,
) -> None:  # fmt: skip
    (title,) = track()
    connection.execute(f"ALTER TABLE chapters ADD CONSTRAINT bad {rule}".encode())
    sim.publish(title, number="5", title="Good")
    bad = sim.publish(title, number="6", title="Bad", externalUrl="https://bad.example")
    summary = run_job("chapter_feed")
    assert (summary.events, summary.failed) == (2, 1)
    assert told() == [(5, None), (6, 5)]
    titles = connection.execute("SELECT title FROM chapters ORDER BY chapter_number").fetchall()
    assert titles == [("Good",), (None,)]
    assert list(sync_state.read(connection, "chapter_feed").rejected) == [bad]
    assert run_job("chapter_check").events == 0
