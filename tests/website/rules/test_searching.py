"""Searches: what is asked of the database, and which words a mistyped one may mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from website.rules.searching import distance, make_query, nearest


@pytest.mark.parametrize(
    ("folded", "tsquery"),
    [
        pytest.param("blue lantern", "'blue':* & 'lantern':*", id="all words, as beginnings"),
        pytest.param("no go", "'no' & 'go'", id="short words whole"),
        pytest.param("a b", "'a' & 'b'", id="letters as words"),
        pytest.param("\x1f時\x1f\x1f計\x1f", "('時' <-> '計')", id="characters side by side"),
        pytest.param("\x1f時\x1f 2", "'時' & '2'", id="one character"),
        pytest.param("it's\\", "'it''s\\\\':*", id="nothing ends the quotes"),
    ],
)
def test_a_text_becomes_a_query(folded: str, tsquery: str) -> None:
    query = make_query(folded)
    assert query is not None and query.tsquery == tsquery


@pytest.mark.parametrize("folded", ["", "   ", "\x1f\x1f"])
def test_without_words_there_is_no_query(folded: str) -> None:
    assert make_query(folded) is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("lantern", "lantern", 0),
        ("lanten", "lantern", 1),
        ("lantertn", "lantern", 1),
        ("lamtern", "lantern", 1),
        ("lantenr", "lantern", 1),
        ("", "abc", 3),
        ("abcd", "badc", 2),
    ],
)
def test_typing_errors_are_counted(one: str, other: str, expected: int) -> None:
    assert distance(one, other) == distance(other, one) == expected


@given(st.text(max_size=12), st.text(max_size=12))
def test_a_distance_is_zero_for_equal_words_only(one: str, other: str) -> None:
    assert (distance(one, other) == 0) == (one == other)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))


def test_the_nearest_words_come_first() -> None:
    found = nearest("fulmetal", ["metal", "fullmetal", "fulmeta", "filament"])
    assert found == ["fullmetal", "fulmeta", "metal", "filament"]
