"""Texts where no element encloses them."""

from __future__ import annotations

import pytest

from website.rules.texts import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Blue Lantern", "Blue Lantern"),
        ("a\x00b\x1b[31m\nc", "ab[31m c"),
        ("gnp.\u202ejpg", "gnp.jpg"),
        ("half \ud800 character", "half character"),
        ("no \uffff\ufffe\ufdd0\U0001ffff character", "no character"),
        ("نص عربي", "نص عربي"),
        ("👩‍👧 family", "👩‍👧 family"),
    ],
)
def test_nothing_is_left_that_changes_what_surrounds_it(text: str, expected: str) -> None:
    assert plain(text) == expected
