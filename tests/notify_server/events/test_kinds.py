"""What an event says to its readers, word for word."""

from __future__ import annotations

import pytest

from notify_server.events import kinds
from notify_server.events.kinds import Json, Number


@pytest.mark.parametrize(
    ("chapter", "old", "chapters", "message"),
    [
        (181, 180, [], "New chapter 181 available (was chapter 180)"),
        (181, None, [], "New chapter 181 available"),
        (10.5, 10, [], "New chapter 10.5 available (was chapter 10)"),
        (0, None, [], "New chapter 0 available"),
        (1, 0, [], "New chapter 1 available (was chapter 0)"),
        (None, None, [], "New chapter available"),
        (None, 12, [], "New chapter available"),
        (190, 180, list(range(181, 191)), "10 new chapters available: 181–190 (was chapter 180)"),
        (190, None, [190, 181, 185.5], "3 new chapters available: 181–190"),
        (12, 11, [12], "New chapter 12 available (was chapter 11)"),
        (12, None, [12, 12], "2 new chapters available: 12"),
    ],
)
def test_chapters_are_announced_in_these_words(
    chapter: Number | None, old: Number | None, chapters: list[Number], message: str
) -> None:
    event = kinds.new_chapter("e", 1, "T", chapter, old, chapters)
    assert event.message == message
    assert event.changes == [{"field": "current_chapter", "old_value": old, "new_value": chapter}]


def test_several_chapters_are_listed_in_the_data() -> None:
    event = kinds.new_chapter("e", 1, "T", 190, 180, [189, 190])
    assert event.data == {"chapter": 190, "chapters": [189, 190]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["status"], "Updated: status"),
        (["title", "status"], "Updated: title and status"),
        (["title", "status", "cover_url"], "Updated: title, status, and cover_url"),
        (["a", "b", "c", "d"], "Updated: a, b, c, and d"),
    ],
)
def test_updates_name_their_fields_like_this(fields: list[str], message: str) -> None:
    changes: list[Json] = []
    event = kinds.manga_update("e", 1, "T", fields, changes)
    assert event.message == message
    assert event.data == {"updated_fields": fields}
