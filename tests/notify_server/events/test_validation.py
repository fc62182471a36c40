"""Bodies of POSTs: what is taken, and which field an error names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify_server.events.fields import Invalid
from notify_server.events.kinds import KINDS, Event
from notify_server.events.validation import (
    parse_event,
    parse_events,
    parse_json,
    parse_typed_event,
)

MANGA: dict[str, Any] = {"manga_id": 1, "title": "T"}
CHAPTER: dict[str, Any] = {**MANGA, "chapter": 181}
UPDATE: dict[str, Any] = {**MANGA, "changes": ["status"]}


def parse(kind: str, body: object) -> Event:
    return parse_event(kind, parse_json(json.dumps(body).encode()), "spare")


def error(kind: str, body: object) -> str:
    with pytest.raises(Invalid) as caught:
        parse(kind, body)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("new-manga", {"title": "T"}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": "1"}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": 1.5}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": True}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": None}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": 0}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": -1}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": 2**63}, "manga_id"),
        ("new-manga", {**MANGA, "manga_id": 10**400}, "manga_id"),
        ("new-manga", {"manga_id": 1}, "title"),
        ("new-manga", {**MANGA, "title": ""}, "title"),
        ("new-manga", {**MANGA, "title": None}, "title"),
        ("new-manga", {**MANGA, "title": 7}, "title"),
        ("new-manga", {**MANGA, "title": "a\0b"}, "title"),
        ("new-manga", {**MANGA, "title": "\ud800"}, "title"),
        ("new-manga", {**MANGA, "event_id": ""}, "event_id"),
        ("new-manga", {**MANGA, "event_id": "x" * 201}, "event_id"),
        ("new-manga", {**MANGA, "event_id": 5}, "event_id"),
        ("new-manga", {**MANGA, "event_id": "a\0"}, "event_id"),
        ("new-chapter", MANGA, "chapter"),
        ("new-chapter", {**CHAPTER, "chapter": "181"}, "chapter"),
        ("new-chapter", {**CHAPTER, "chapter": True}, "chapter"),
        ("new-chapter", {**CHAPTER, "chapter": -1}, "chapter"),
        ("new-chapter", {**CHAPTER, "chapter": 100000000}, "chapter"),
        ("new-chapter", {**CHAPTER, "chapter": 1.234}, "chapter"),
        ("new-chapter", {**CHAPTER, "chapter": [1]}, "chapter"),
        ("new-chapter", {**CHAPTER, "old_chapter": "x"}, "old_chapter"),
        ("new-chapter", {**CHAPTER, "old_chapter": False}, "old_chapter"),
        ("new-chapter", {**CHAPTER, "chapters": []}, "chapters"),
        ("new-chapter", {**CHAPTER, "chapters": 181}, "chapters"),
        ("new-chapter", {**CHAPTER, "chapters": [180, "181"]}, "chapters[1]"),
        ("manga-update", MANGA, "changes"),
        ("manga-update", {**MANGA, "changes": []}, "changes"),
        ("manga-update", {**MANGA, "changes": "status"}, "changes"),
        ("manga-update", {**MANGA, "changes": ["status", ""]}, "changes[1]"),
        ("manga-update", {**MANGA, "changes": [None]}, "changes[0]"),
        ("manga-update", {**UPDATE, "detailed_changes": {}}, "detailed_changes"),
        ("manga-update", {**UPDATE, "detailed_changes": ["x"]}, "detailed_changes[0]"),
        ("manga-update", {**UPDATE, "detailed_changes": [{}]}, "detailed_changes[0].field"),
        (
            "manga-update",
            {**UPDATE, "detailed_changes": [{"field": "status", "old_value": "\0"}]},
            "detailed_changes[0].old_value",
        ),
        (
            "manga-update",
            {**UPDATE, "detailed_changes": [{"field": "status", "new_value": 10**400}]},
            "detailed_changes[0].new_value",
        ),
    ],
)
def test_an_error_names_the_field(kind: str, body: object, field: str) -> None:
    assert error(kind, body).startswith(f"{field}: ")


@pytest.mark.parametrize("body", [[], "x", 1, None, True])
def test_a_body_must_be_an_object(body: object) -> None:
    assert "object" in error("new-manga", body)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b"[" * 100_000, "deep"),
        (b"9" * 5000, "too long"),
        (b'{"a": 1e99999999999999999999}', "out of range"),
        (b'{"a": 1} x', "not JSON"),
    ],
)
def test_what_is_no_json_is_invalid(raw: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse_json(raw)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("181", "181"),
        ("181.0", "181"),
        ("10.5", "10.5"),
        ("10.50", "10.5"),
        ("0", "0"),
        ("1e1", "10"),
        ("1E-2", "0.01"),
        ("99999999.99", "99999999.99"),
        ("0.1", "0.1"),
        ("-0", "0"),
        ("0.30", "0.3"),
    ],
)
def test_numbers_are_shown_without_trailing_zeros(text: str, number: str) -> None:
    raw = f'{{"manga_id": 1, "title": "T", "chapter": {text}}}'.encode()
    event = parse_event("new-chapter", parse_json(raw), "spare")
    assert event.message == f"New chapter {number} available"
    assert json.dumps(event.data) == f'{{"chapter": {number}}}'


@pytest.mark.parametrize("text", ["1e400", "1e-400", "-1e400", "0.001", "1e9", "1" + "0" * 300])
def test_numbers_out_of_range_are_invalid(text: str) -> None:
    raw = f'{{"manga_id": 1, "title": "T", "chapter": {text}}}'.encode()
    with pytest.raises(Invalid, match="chapter"):
        parse_event("new-chapter", parse_json(raw), "spare")


def test_an_event_gets_the_spare_id_where_it_has_none() -> None:
    assert parse("new-manga", MANGA).event_id == "spare"
    assert parse("new-manga", {**MANGA, "event_id": None}).event_id == "spare"
    assert parse("new-manga", {**MANGA, "event_id": "mine"}).event_id == "mine"


def test_the_highest_of_several_chapters_counts() -> None:
    event = parse("new-chapter", {**MANGA, "chapter": 181, "chapters": [180, 182.5]})
    assert event.data == {"chapter": 182.5, "chapters": [180, 182.5]}


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert parse("new-manga", {**MANGA, "manga_id": 7.0}).manga_id == 7


def test_unknown_fields_are_ignored() -> None:
    assert parse("new-manga", {**MANGA, "colour": "red"}).title == "T"


def test_old_and_new_values_are_kept_and_names_without_them_get_null() -> None:
    detail = {"field": "status", "old_value": "ongoing", "new_value": "completed"}
    event = parse(
        "manga-update", {**MANGA, "changes": ["title", "status"], "detailed_changes": [detail]}
    )
    assert event.changes == [{"field": "title", "old_value": None, "new_value": None}, detail]
    assert event.data == {"updated_fields": ["title", "status"]}


def test_a_detailed_change_counts_as_a_change() -> None:
    detail = {"field": "rating", "old_value": 8.25, "new_value": {"a": [1, None, True]}}
    event = parse("manga-update", {**MANGA, "detailed_changes": [detail]})
    assert event.data == {"updated_fields": ["rating"]}
    assert event.changes == [detail]


def test_a_batch_takes_1_to_500_events() -> None:
    assert len(parse_events({"events": [MANGA] * 500})) == 500
    wrong: list[Any] = [{"events": []}, {"events": [MANGA] * 501}, {"events": {}}, {}, []]
    for body in wrong:
        with pytest.raises(Invalid):
            parse_events(body)


@pytest.mark.parametrize("kind", [None, 1, "NEW_MANGA", "new-thing", ["new-manga"]])
def test_an_element_of_a_batch_needs_a_known_type(kind: object) -> None:
    with pytest.raises(Invalid, match="type"):
        parse_typed_event({**MANGA, "type": kind}, "spare")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.sampled_from([*KINDS]),
    st.fixed_dictionaries(
        {},
        optional={
            name: json_values
            for name in (
                "event_id",
                "manga_id",
                "title",
                "chapter",
                "old_chapter",
                "chapters",
                "changes",
                "detailed_changes",
            )
        },
    ),
)
def test_any_body_is_an_event_or_an_error(kind: str, body: dict[str, Any]) -> None:
    try:
        event = parse(kind, body)
    except Invalid:
        return
    json.dumps(
        [event.title, event.message, event.data, event.changes], ensure_ascii=False, allow_nan=False
    ).encode()


@given(st.binary())
def test_any_bytes_are_json_or_an_error(raw: bytes) -> None:
    try:
        parse_json(raw)
    except Invalid:
        return
