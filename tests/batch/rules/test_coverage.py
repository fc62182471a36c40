"""Which initial sync makes which other one needless."""

from __future__ import annotations

import pytest

from batch.jobs import initial_sync
from batch.rules.coverage import Coverage, extended, is_covered, read

SAFE = frozenset({"safe"})
BOTH = frozenset({"safe", "erotica"})
TODAY = Coverage(150, "followedCount", SAFE)
ALL_SAFE = Coverage(None, "followedCount", SAFE)
ALL_BOTH = Coverage(None, "rating", BOTH)


@pytest.mark.parametrize(
    ("done", "wanted", "is_enough"),
    [
        (TODAY, TODAY, True),
        (TODAY, Coverage(149, "followedCount", SAFE), True),
        (TODAY, Coverage(151, "followedCount", SAFE), False),
        (TODAY, Coverage(150, "rating", SAFE), False),
        (TODAY, Coverage(150, "followedCount", BOTH), False),
        (Coverage(150, "followedCount", BOTH), TODAY, False),
        (TODAY, ALL_SAFE, False),
        (ALL_SAFE, TODAY, True),
        (ALL_SAFE, ALL_BOTH, False),
        (ALL_BOTH, ALL_SAFE, True),
        (ALL_BOTH, Coverage(10, "createdAt", SAFE), True),
    ],
)
def test_what_covers_what(done: Coverage, wanted: Coverage, is_enough: bool) -> None:
    assert done.covers(wanted) is is_enough


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (None, []),
        ({}, []),
        ("all", []),
        ([{"count": "many"}, 7], []),
        ({"all": True}, [ALL_SAFE]),
        ({"count": 150}, [TODAY]),
        ([{"count": 150, "order": "rating"}], [Coverage(150, "rating", SAFE)]),
        ([{"all": True, "ratings": ["safe", "erotica"]}], [Coverage(None, TODAY.order, BOTH)]),
    ],
)
def test_what_is_stored_is_read_whoever_wrote_it(stored: object, found: list[Coverage]) -> None:
    assert read(stored, TODAY) == found


def test_what_is_written_is_read_again() -> None:
    entries = [Coverage(7, "rating", BOTH), Coverage(None, TODAY.order, SAFE)]
    assert read([each.as_json() for each in entries], TODAY) == entries


def test_nothing_that_was_covered_is_forgotten_for_something_smaller() -> None:
    by_rating = Coverage(10, "rating", BOTH)
    known = extended(extended([], ALL_SAFE), TODAY)
    assert known == [ALL_SAFE]
    known = extended(known, by_rating)
    assert is_covered(known, TODAY) and is_covered(known, by_rating)
    assert extended(known, ALL_BOTH) == [ALL_BOTH]


def test_no_page_of_one_import_is_taken_for_one_of_another() -> None:
    imports = [
        Coverage(count, order, frozenset(ratings))
        for count in (None, 20, 200)
        for order in ("rating", "followedCount")
        for ratings in (["safe"], ["safe", "erotica"])
        if count is not None or order == "rating"
    ]
    scopes = [f"{initial_sync.scope_of(each)} " for each in imports]
    assert not any(a.startswith(b) for a in scopes for b in scopes if a is not b)
