"""Datagrams: cut to fit, always valid, and nothing but cut."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify_server.events.kinds import KINDS
from notify_server.events.validation import parse_event
from readers.datagram import (
    Content,
    DatagramTemplate,
    cut,
    make_template,
    session_suffix,
    timestamp,
)

SESSION = "0123456789abcdef" * 2
MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
TIMESTAMP = "2026-01-31T12:00:00.123456Z"

texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=3000)
numbers = st.one_of(
    st.integers(0, 99_999_999), st.integers(0, 9_999_999_999).map(lambda n: n / 100)
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=8,
)


def whole(template: DatagramTemplate, id: int = 2**63 - 1) -> bytes:
    return template.fill(id, session_suffix(SESSION))


def template_of(kind: str, title: str, manga_id: int = 1, **body: object) -> DatagramTemplate:
    """Return the template of an event with this body; fields that are not given are absent."""
    found = KINDS[kind]
    absent = dict.fromkeys(found.body.schema["properties"])
    message, data, changes, _ = found.compose({**absent, **body, "title": title})
    return make_template(
        Content(found.datagram_type, manga_id, title, message, MOMENT, data, changes)
    )


def decode(datagram: bytes) -> dict[str, Any]:
    assert len(datagram) <= 1200
    body = json.loads(datagram.decode("utf-8"))
    assert isinstance(body, dict)
    return body


def is_cut_of(shown: str, text: str) -> bool:
    return shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


@given(texts)
def test_any_title_fits_and_is_only_cut(title: str) -> None:
    body = decode(whole(template_of("new-manga", title, 2**63 - 1)))
    assert is_cut_of(body["title"], title)
    assert is_cut_of(body["message"], f"New manga added: {title}")
    assert body["session"] == SESSION
    assert body["timestamp"] == TIMESTAMP


@given(texts, st.lists(numbers, min_size=1, max_size=2000))
def test_any_list_of_chapters_fits_and_keeps_its_beginning(
    title: str, chapters: list[float]
) -> None:
    template = template_of("new-chapter", title, old_chapter=0, chapters=chapters)
    body = decode(whole(template))
    assert body["timestamp"] == TIMESTAMP
    shown = body["data"]["chapters"]
    assert shown == chapters[: len(shown)]
    assert body["data"]["chapter"] == max(chapters)


@given(texts, st.lists(st.tuples(texts, values, values), max_size=30, unique_by=itemgetter(0)))
def test_any_changes_fit(title: str, changed: list[tuple[str, Any, Any]]) -> None:
    changes = [{"field": name, "old_value": old, "new_value": new} for name, old, new in changed]
    body = decode(whole(template_of("manga-update", title, detailed_changes=changes)))
    assert body["timestamp"] == TIMESTAMP
    for shown, (name, _, _) in zip(body["changes"], changed, strict=False):
        assert is_cut_of(shown["field"], name)


@given(st.dictionaries(texts, values), st.lists(values), texts, texts, texts)
def test_a_row_of_another_program_fits_whatever_it_holds(
    data: Any, changes: Any, kind: str, title: str, message: str
) -> None:
    body = decode(whole(make_template(Content(kind, 1, title, message, MOMENT, data, changes))))
    assert (body["manga_id"], body["timestamp"]) == (1, TIMESTAMP)
    assert isinstance(body["data"], dict)
    assert isinstance(body["changes"], list)


def test_values_that_utf_8_cannot_hold_are_left_out() -> None:
    body = decode(whole(make_template(Content("X", 1, "T", "m", None, {"a": "\ud800"}, [1]))))
    assert (body["title"], body["timestamp"]) == ("T", "")
    assert (body["data"], body["changes"]) == ({}, [])


@given(values)
def test_the_order_in_which_an_object_was_posted_does_not_matter(value: Any) -> None:
    stored = json.loads(json.dumps(value, sort_keys=True))
    one = make_template(Content("X", 1, "t" * 3000, "m", MOMENT, {"a": value}, []))
    other = make_template(Content("X", 1, "t" * 3000, "m", MOMENT, {"a": stored}, []))
    assert decode(whole(one)) == decode(whole(other))


def test_what_fits_is_not_changed() -> None:
    template = template_of("new-chapter", "Title \U0001f4d6", 7, chapter=10.5, old_chapter=10)
    assert decode(whole(template, 12)) == {
        "type": "NEW_CHAPTER",
        "id": 12,
        "manga_id": 7,
        "title": "Title \U0001f4d6",
        "message": "New chapter 10.5 available (was chapter 10)",
        "timestamp": TIMESTAMP,
        "data": {"chapter": 10.5},
        "changes": [{"field": "current_chapter", "old_value": 10, "new_value": 10.5}],
        "session": SESSION,
    }


@pytest.mark.parametrize("title", ["T", "\U0001f4d6" * 5000])
def test_a_long_list_of_chapters_leaves_the_message_whole(title: str) -> None:
    chapters = list(range(1001, 5001))
    body = decode(whole(template_of("new-chapter", title, old_chapter=1000.5, chapters=chapters)))
    assert body["message"] == "4000 new chapters available: 1001–5000 (was chapter 1000.5)"
    assert len(body["data"]["chapters"]) > 50


@pytest.mark.parametrize("step", [1, 0.5, 0.25])
@pytest.mark.parametrize("title", ["T", "A title of forty-six characters, no more: here"])
def test_a_list_of_any_length_leaves_all_but_texts_and_values_whole(
    title: str, step: float
) -> None:
    for count in range(100, 420, 3):
        chapters: list[float] = [1 + n * step for n in range(count)]
        template = template_of("new-chapter", title, 7, old_chapter=0.5, chapters=chapters)
        body = decode(whole(template, 12))
        assert body["timestamp"] == TIMESTAMP, count
        assert (body["type"], body["id"], body["manga_id"]) == ("NEW_CHAPTER", 12, 7)
        assert body["data"]["chapter"] == chapters[-1]
        (change,) = body["changes"]
        assert (change["old_value"], change["new_value"]) == (0.5, chapters[-1])


@pytest.mark.parametrize("count", range(1, 25))
@pytest.mark.parametrize("length", [20, 40, 60])
def test_changes_of_any_number_leave_all_but_texts_and_values_whole(
    count: int, length: int
) -> None:
    changes = [
        {"field": f"field_{n}", "old_value": "o" * length, "new_value": "n" * length}
        for n in range(count)
    ]
    template = template_of("manga-update", "A title", 7, detailed_changes=changes)
    body = decode(whole(template, 12))
    assert body["timestamp"] == TIMESTAMP
    assert (body["type"], body["id"], body["manga_id"]) == ("MANGA_UPDATE", 12, 7)


def test_a_long_title_fills_the_datagram() -> None:
    for character in ("a", "ß", "漢", "\U0001f4d6", "\n", '"'):
        datagram = whole(template_of("new-manga", character * 5000))
        assert len(datagram) > 1200 - 60


@pytest.mark.parametrize(
    ("text", "length", "wanted"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 1, "")]
)
def test_a_cut_ends_in_an_ellipsis(text: str, length: int, wanted: str) -> None:
    assert cut(text, length) == wanted


def test_a_client_without_session_gets_none() -> None:
    template = template_of("new-manga", "A")
    body = decode(template.fill(1, session_suffix(None)))
    assert "session" not in body


URL = "https://mangadex.org/chapter/" + "0" * 480
UPLOAD = {"language": "en", "volume": "19", "url": URL}


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("T", {"items", "groups", "chapter_title"}),
        ("T" * 200, {"groups", "chapter_title"}),
        ("T" * 280, {"chapter_title"}),
        ("T" * 450, set()),
        ("T" * 5_000, set()),
        ("\N{FIRE}" * 5_000, set()),
    ],
    ids=["all", "no items", "no groups", "no title of the chapter", "cut", "cut, four bytes each"],
)
def test_what_does_not_fit_is_left_out_in_order_and_never_the_address(
    title: str, kept: set[str]
) -> None:
    item = {"chapter": 1, "chapter_title": "i" * 160}
    groups = [{"id": str(UUID(int=1)), "name": "g" * 60}]
    body = {"manga_id": 1, "title": title, "chapter": 1, "chapter_title": "c" * 40} | UPLOAD
    event = parse_event("new-chapter", {**body, "groups": groups, "items": [item]}, "id")
    content = Content("NEW_CHAPTER", 1, title, event.message, MOMENT, event.data, event.changes)
    data = decode(whole(make_template(content)))["data"]
    assert data["url"] == URL
    assert kept == data.keys() & {"items", "groups", "chapter_title"}


def test_an_address_that_another_program_wrote_may_be_too_long() -> None:
    content = Content("X", 1, "T", "m", MOMENT, {"url": "h" * 3_000}, [])
    assert len(whole(make_template(content))) <= 1200


def test_a_time_without_zone_is_utc() -> None:
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 6)) == "2026-01-02T03:04:05.000006Z"
