"""How many follow a title at the source: what is asked for, when, and what is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from batch.models import Summary
from mangadex_sim import Simulator
from readers.users import User, add_user

Connection = psycopg.Connection[tuple[Any, ...]]
RunJob = Callable[..., Summary]


@pytest.fixture
def mika(connection: Connection) -> User:
    return add_user(connection, "mika", None, None)


def figures(connection: Connection) -> dict[str, int | None]:
    return dict(
        connection.execute(
            "SELECT mangadex_id::text, follows FROM title_popularity"
            " JOIN manga ON manga.id = manga_id"
        ).fetchall()
    )


def hold(connection: Connection, user: User, title: str) -> None:
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id)"
        " SELECT %s, id FROM manga WHERE mangadex_id = %s",
        [user.id, title],
    )


def test_the_most_followed_and_those_in_libraries_are_asked_for_once_a_week(
    run_job: RunJob, sim: Simulator, connection: Connection, track: Any, mika: User, mocker: Any
) -> None:
    mocker.patch("batch.jobs.popularity.MOST_FOLLOWED", 1)
    mocker.patch("batch.jobs.popularity.PAGE", 1)
    (most,) = track(1, followedCount=500)
    (held,) = track(1, followedCount=3)
    (other,) = track(1, followedCount=2)
    hold(connection, mika, held)
    run_job("metadata_refresh")
    assert figures(connection) == {most: 500, held: 3}
    assert run_job("metadata_refresh", REFRESH_HOURS="24").requests == 0
    hold(connection, mika, other)
    assert run_job("metadata_refresh").requests == 1
    assert figures(connection)[other] == 2
    sim.edit_title(held, followedCount=4)
    connection.execute("UPDATE title_popularity SET asked_at = now() - interval '8 days'")
    run_job("metadata_refresh")
    assert figures(connection) == {most: 500, held: 4, other: 2}


def test_without_readers_nothing_is_asked(run_job: RunJob, track: Any) -> None:
    track(2)
    assert run_job("metadata_refresh").requests == 0


def test_figures_that_the_source_refuses_fail_no_refresh(
    run_job: RunJob, sim: Simulator, connection: Connection, track: Any, mika: User
) -> None:
    track(1)
    sim.fail("400_json", paths=["/statistics/manga"])
    assert run_job("metadata_refresh").status == "completed"
    assert figures(connection) == {}
    run_job("metadata_refresh")
    assert len(figures(connection)) == 1


def test_a_title_without_a_figure_is_not_asked_for_again_at_once(
    run_job: RunJob, sim: Simulator, connection: Connection, track: Any, mika: User
) -> None:
    (title,) = track(1)
    hold(connection, mika, title)
    sim.remove_title(title)
    run_job("metadata_refresh")
    assert figures(connection) == {title: None}
    assert run_job("metadata_refresh").requests == 0


def test_the_first_import_tells_the_order_of_the_most_followed(
    run_job: RunJob, sim: Simulator, connection: Connection
) -> None:
    for follows in (5, 50, 500):
        sim.add_title(followedCount=follows)
    run_job("initial_sync")
    query = (
        "SELECT mangadex_id::text FROM title_popularity JOIN manga ON manga.id = manga_id"
        " WHERE follows IS NULL AND asked_at IS NULL ORDER BY rank"
    )
    found = [title for (title,) in connection.execute(query)]
    assert found == sim.title_ids(0, 3)[::-1]


def test_another_order_tells_nothing_of_it(
    run_job: RunJob, sim: Simulator, connection: Connection
) -> None:
    sim.add_titles(3)
    run_job("initial_sync", INITIAL_ORDER="createdAt")
    run_job("initial_sync", full=True)
    assert figures(connection) == {}
