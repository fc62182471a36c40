"""Which names are equal."""

from __future__ import annotations

import pytest

from readers.lists.entries.titles import MOST_CHARACTERS, clean, normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Berserk", "BERSERK!"),
        ("Kimi & Boku", "Kimi &amp; Boku"),
        ("Élan Vital", "Elan-Vital"),
        ("Ｆｕｌｌ　Ｗｉｄｔｈ", "Full Width"),
        ("Straße", "STRASSE"),
        ("ﬁne", "fine"),
        ("한국", "한국"),
        ("É", "É"),
        ("ベルセルク", "ベルセルク!"),
        ("Re:Zero −", "ReZero"),
    ],
)
def test_equal_names(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("か", "が"), ("ハハ", "パパ"), ("กิน", "กาน"), ("A 1", "A 2"), ("!!", "??"), ("कि", "की")],
)
def test_different_names(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_a_text_from_outside_is_one_line_of_bounded_length() -> None:
    assert clean(" a\n\tb\0\u202e\ud800 c ") == "a b c"
    assert len(clean("x" * 10_000)) == MOST_CHARACTERS
    assert clean(None) == clean(5) == ""
    assert len(normalise("ﷺ" * 500)) <= MOST_CHARACTERS
