"""Suggestions: what is suggested, what never is, and how long it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

import sql
from readers import library, progress, suggestions
from readers.suggestions import FEWEST_READERS, MAX_SUGGESTIONS, Candidate, blend, order
from readers.users import User, add_user

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TITLES = 30


@pytest.fixture
def mika(connection: sql.Connection) -> User:
    connection.execute(
        "INSERT INTO manga (id, title, slug) SELECT n, 'Title ' || n, 'title-' || n"
        " FROM generate_series(1, %s) AS n",
        [TITLES],
    )
    return add_user(connection, "mika", None, None)


@pytest.fixture
def hold(connection: sql.Connection) -> Callable[[User, Sequence[int]], None]:
    def hold(user: User, titles: Sequence[int]) -> None:
        rows = [library.TitleRow(each, "") for each in titles]
        library.add_to_library(connection, user, rows)

    return hold


@pytest.fixture
def crowd(connection: sql.Connection, hold: Callable[..., None]) -> Callable[..., None]:
    """Add readers, all with the same titles."""

    def crowd(count: int, titles: Sequence[int]) -> None:
        row = connection.execute("SELECT count(*) FROM users").fetchone()
        assert row
        for n in range(count):
            hold(add_user(connection, f"reader {row[0] + n}", None, None), titles)

    return crowd


def follow(connection: sql.Connection, **follows: int | None) -> None:
    for name, count in follows.items():
        connection.execute(
            "INSERT INTO title_popularity VALUES (%s, %s, now())", [name.removeprefix("t"), count]
        )


def ids(connection: sql.Connection, user: User, now: datetime = NOW) -> list[int]:
    return [each.manga_id for each in suggestions.suggest(connection, user, now)]


def test_what_readers_alike_have_comes_before_what_others_have(
    connection: sql.Connection, mika: User, hold: Callable[..., None], crowd: Callable[..., None]
) -> None:
    hold(mika, [1, 2, 3])
    crowd(FEWEST_READERS, [1, 9, *range(21, 29)])
    crowd(4, [1, 2, 3, 4])
    follow(connection, t9=10, t10=1)
    assert ids(connection, mika) == [4, 9, *range(21, 29), 10]


@pytest.mark.parametrize(
    ("readers", "titles"), [(FEWEST_READERS - 2, [1, 2]), (FEWEST_READERS, [1]), (0, [])]
)
def test_few_readers_or_titles_leave_what_is_followed_most(
    connection: sql.Connection,
    mika: User,
    hold: Callable[..., None],
    crowd: Callable[..., None],
    readers: int,
    titles: list[int],
) -> None:
    hold(mika, titles)
    crowd(readers, [1, 2, 3])
    follow(connection, t4=5, t5=50, t6=0, t7=None)
    assert ids(connection, mika) == [5, 4]


@pytest.mark.parametrize("is_alike", [True, False], ids=["alike", "no figures yet"])
@pytest.mark.parametrize(("holders", "is_suggested"), [(2, False), (3, True)])
def test_it_takes_three_other_readers(
    connection: sql.Connection,
    mika: User,
    hold: Callable[..., None],
    crowd: Callable[..., None],
    is_alike: bool,
    holders: int,
    is_suggested: bool,
) -> None:
    hold(mika, [1, 2])
    crowd(holders, [1, 2, 3])
    if is_alike:
        crowd(FEWEST_READERS, [1, 2])
    assert ids(connection, mika) == [3] * is_suggested


def test_rows_that_an_adopted_library_has_twice_are_one_reader(
    connection: sql.Connection, mika: User, crowd: Callable[..., None]
) -> None:
    connection.execute(
        "ALTER TABLE user_library DROP CONSTRAINT IF EXISTS user_library_user_id_manga_id_key"
    )
    crowd(1, [3])
    for _ in range(5):
        connection.execute(
            "INSERT INTO user_library (user_id, manga_id) SELECT user_id, manga_id FROM"
            " user_library LIMIT 1 ON CONFLICT DO NOTHING"
        )
    assert ids(connection, mika) == []


def test_what_is_gone_held_or_dropped_is_never_suggested_also_not_from_what_was_kept(
    connection: sql.Connection, mika: User, hold: Callable[..., None], crowd: Callable[..., None]
) -> None:
    hold(mika, [1, 2])
    crowd(FEWEST_READERS, [1, 2, 3, 4, 5])
    follow(connection, t6=9)
    assert ids(connection, mika) == [3, 4, 5, 6]
    connection.execute("UPDATE manga SET unavailable_at = now() WHERE id = 3")
    hold(mika, [4])
    progress.set_progress(connection, mika, library.TitleRow(5, ""), 1)  # type: ignore[arg-type]
    assert ids(connection, mika) == [6]
    assert ids(connection, mika, NOW + timedelta(days=2)) == [6]


def test_a_title_that_the_reader_dropped_tells_nothing_of_readers_alike(
    connection: sql.Connection, mika: User, hold: Callable[..., None], crowd: Callable[..., None]
) -> None:
    hold(mika, [1, 2, 3])
    crowd(FEWEST_READERS, [1, 9])
    crowd(3, [2, 3, 4])
    follow(connection, t4=1)
    connection.execute(
        "INSERT INTO user_progress (user_id, manga_id, status) VALUES (%s, 1, 'dropped')", [mika.id]
    )
    assert ids(connection, mika) == [4]


@pytest.mark.parametrize(("own", "is_suggested"), [("safe", False), ("pornographic", True)])
def test_titles_for_adults_go_to_readers_who_have_some(
    connection: sql.Connection, mika: User, hold: Callable[..., None], own: str, is_suggested: bool
) -> None:
    connection.execute("UPDATE manga SET content_rating = 'pornographic' WHERE id = 2")
    connection.execute("UPDATE manga SET content_rating = %s WHERE id = 1", [own])
    hold(mika, [1])
    follow(connection, t2=9)
    assert ids(connection, mika) == [2] * is_suggested


def test_they_are_kept_for_a_day_and_made_anew_when_the_library_changes(
    connection: sql.Connection, mika: User, hold: Callable[..., None]
) -> None:
    follow(connection, t4=5)
    assert ids(connection, mika) == [4]
    follow(connection, t5=50)
    assert ids(connection, mika, NOW + timedelta(hours=23)) == [4]
    assert ids(connection, mika, NOW + timedelta(hours=25)) == [5, 4]
    follow(connection, t6=500)
    hold(mika, [1])
    assert ids(connection, mika, NOW + timedelta(hours=26)) == [6, 5, 4]
    follow(connection, t7=5000)
    assert ids(connection, mika, NOW) == [7, 6, 5, 4]  # kept from a time to come


def test_nothing_to_suggest_is_kept_too(connection: sql.Connection, mika: User) -> None:
    assert ids(connection, mika) == []
    follow(connection, t4=5)
    assert ids(connection, mika) == []


def test_there_are_at_most_a_hundred(connection: sql.Connection, mika: User) -> None:
    connection.execute(
        "INSERT INTO manga (id, title, slug) SELECT n, 'More ' || n, 'more-' || n"
        " FROM generate_series(101, 300) AS n"
    )
    connection.execute("INSERT INTO title_popularity SELECT id, id, now() FROM manga")
    assert len(ids(connection, mika)) == MAX_SUGGESTIONS
    assert len(suggestions.suggest(connection, mika, NOW, limit=7)) == 7


# --- the order -----------------------------------------------------------------------------------


def candidate(manga_id: int, score: float = 1, *genres: str) -> Candidate:
    return Candidate(manga_id, f"Title {manga_id}", score, frozenset(genres))


def test_genres_order_what_is_equal_and_say_why() -> None:
    liked = [candidate(1, 1, "Drama"), candidate(2, 1, "Drama", "Horror"), candidate(3)]
    found = order([candidate(7, 1, "Comedy"), candidate(8, 1, "Drama"), candidate(9)], liked)
    assert [each.manga_id for each in found] == [8, 7, 9]
    assert [each.because for each in found] == [("Title 1", "Title 2"), (), ()]
    assert [each.score for each in found] == [1, round(1 / 1.4, 6), round(1 / 1.4, 6)]


def test_genres_lift_nothing_above_what_is_liked_much_more() -> None:
    liked = [candidate(1, 1, "Drama")]
    found = order([candidate(7, 2, "Comedy"), candidate(8, 1, "Drama")], liked)
    assert [each.manga_id for each in found] == [7, 8]


@pytest.mark.parametrize(
    ("alike", "popular", "expected"),
    [
        ([], [], {}),
        ([], [candidate(1, 8), candidate(2, 4)], {1: 0.1, 2: 0.05}),
        ([candidate(1, 0.02), candidate(3, 0.5)], [candidate(1, 8)], {1: 0.12, 3: 0.5}),
    ],
    ids=["nothing", "no readers alike", "both"],
)
def test_what_is_followed_counts_beside_readers_alike(
    alike: list[Candidate], popular: list[Candidate], expected: dict[int, float]
) -> None:
    blended = {each.manga_id: each.score for each in blend(alike, popular)}
    assert blended == pytest.approx(expected)


def test_before_any_figure_is_known_the_order_of_the_list_counts(
    connection: sql.Connection, mika: User
) -> None:
    connection.execute(
        "INSERT INTO title_popularity (manga_id, rank) VALUES (7, 1), (8, 0), (9, 2)"
    )
    assert ids(connection, mika) == [8, 7, 9]
    connection.execute("UPDATE title_popularity SET follows = 5 WHERE manga_id = 9")
    connection.execute("UPDATE title_popularity SET follows = 0 WHERE manga_id = 8")
    assert ids(connection, mika, NOW + timedelta(days=2)) == [9, 7]
