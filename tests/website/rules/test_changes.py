"""Changes of a title in words."""

from __future__ import annotations

import pytest

from website.rules.changes import describe_field, describe_value


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("status", "hiatus", "hiatus"),
        ("status", None, "nothing"),
        ("cover_url", "https://x/y.jpg", "a picture"),
        ("total_chapters", 12, "12"),
        ("links", {"al": "1", "mal": "2"}, "al: 1, mal: 2"),
        ("genres", ["Action", 5], "Action, 5"),
        ("title", "x" * 500, "x" * 119 + "…"),
    ],
)
def test_a_value_is_shown_as_readers_know_it(field: str, value: object, text: str) -> None:
    assert describe_value(field, value) == text


def test_fields_have_words() -> None:
    assert [describe_field(name) for name in ("cover_url", "status")] == ["cover", "status"]
