"""What the datagrams of each kind say, word for word."""

from __future__ import annotations

import json

import pytest

from notify_server.events.fields import Number
from notify_server.events.kinds import KINDS, Event, Kind
from notify_server.events.validation import parse_event, parse_json
from tests.support.paths import ROOT


def read(kind: str, **body: object) -> Event:
    posted = json.dumps({"manga_id": 1, "title": "T", **body}).encode()
    return parse_event(kind, parse_json(posted), "spare")


@pytest.mark.parametrize("kind", KINDS.values(), ids=[*KINDS])
def test_the_protocol_describes_each_kind(kind: Kind) -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert f"| `POST /notify/{kind.name}` |" in page
    assert f"| {kind.datagram_type} |" in page


def test_a_new_title_is_announced_in_these_words() -> None:
    event = read("new-manga")
    assert (event.message, event.data, event.changes) == ("New manga added: T", {}, [])


@pytest.mark.parametrize(
    ("chapter", "old", "chapters", "message"),
    [
        (181, 180, None, "New chapter 181 available (was chapter 180)"),
        (181, None, None, "New chapter 181 available"),
        (10.5, 10, None, "New chapter 10.5 available (was chapter 10)"),
        (0, None, None, "New chapter 0 available"),
        (1, 0, None, "New chapter 1 available (was chapter 0)"),
        (None, None, None, "New chapter available"),
        (None, 12, None, "New chapter available"),
        (190, 180, list(range(181, 191)), "10 new chapters available: 181–190 (was chapter 180)"),
        (190, None, [190, 181, 185.5], "3 new chapters available: 181–190"),
        (12, 11, [12], "New chapter 12 available (was chapter 11)"),
        (12, None, [12, 12], "2 new chapters available: 12"),
    ],
)
def test_chapters_are_announced_in_these_words(
    chapter: Number | None, old: Number | None, chapters: list[Number] | None, message: str
) -> None:
    event = read("new-chapter", chapter=chapter, old_chapter=old, chapters=chapters)
    assert event.message == message
    assert event.changes == [{"field": "current_chapter", "old_value": old, "new_value": chapter}]


def test_several_chapters_are_listed_in_the_data() -> None:
    event = read("new-chapter", chapter=190, old_chapter=180, chapters=[189, 190])
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
    event = read("manga-update", changes=fields)
    assert event.message == message
    assert event.data == {"updated_fields": fields}
