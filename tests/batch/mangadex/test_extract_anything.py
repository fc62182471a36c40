"""No JSON fails in an unforeseen way; what was recorded of the real API is read."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.errors import ExtractionError
from batch.mangadex import extract
from tests.support.entities import ANSWERS, chapter_entity, title_entity

any_text = st.text(st.characters(), max_size=12)  # halves of surrogate pairs too
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.just(10**4_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, build: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A good entity in which one or two places hold something else, or nothing."""
    entity = build()
    for _ in range(draw(st.integers(1, 2))):
        place: Any = entity
        while True:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else
                                       range(len(place))))  # fmt: skip
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                break
            place = inner
        if isinstance(place, dict) and len(place) > 1 and draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(any_json)
    return entity


def assert_storable(value: object) -> None:
    if isinstance(value, tuple):
        for each in value:
            assert_storable(each)
    if isinstance(value, str):
        assert "\0" not in value
        value.encode()


def read_or_refuse(read: Callable[[dict[str, Any]], Any], entity: dict[str, Any]) -> None:
    before = copy.deepcopy(entity)
    try:
        found = read(entity)
    except ExtractionError as exc:
        for text in (exc.mangadex_id, exc.reason, str(exc)):
            assert text.isprintable() and text.isascii()
            assert len(text) < 400
    else:
        for field in fields(found):
            assert_storable(getattr(found, field.name))
    assert repr(entity) == repr(before)


@given(damaged(title_entity))
def test_a_damaged_title_is_read_or_refused_in_one_line(entity: dict[str, Any]) -> None:
    read_or_refuse(extract.manga, entity)


@given(damaged(chapter_entity))
def test_a_damaged_chapter_is_read_or_refused_in_one_line(entity: dict[str, Any]) -> None:
    read_or_refuse(extract.chapter, entity)


@given(st.dictionaries(st.sampled_from(["id", "attributes", "relationships", "type"]), any_json))
def test_any_object_is_read_or_refused(entity: dict[str, Any]) -> None:
    read_or_refuse(extract.manga, entity)
    read_or_refuse(extract.chapter, entity)


def test_what_is_nested_without_end_is_refused_in_one_line() -> None:
    nested: Any = "x"
    for _ in range(50_000):
        nested = [nested]
    for entity in ({"id": nested}, title_entity(version=nested), title_entity(status=nested)):
        with pytest.raises(ExtractionError):
            extract.manga(entity)


# --- recorded answers --------------------------------------------------------------------------


def recorded(prefix: str) -> list[Any]:
    """The recorded answers whose names begin so; one that skips where they are not here."""
    paths = sorted(ANSWERS.glob(f"{prefix}*.json"))
    absent = pytest.param(None, marks=pytest.mark.skip("recorded answers are not here"), id="none")
    return [pytest.param(path, id=path.stem) for path in paths] or [absent]


def entities(path: Path) -> list[dict[str, Any]]:
    document = json.loads(path.read_bytes())
    data = document.get("data", document) if isinstance(document, dict) else document
    return data if isinstance(data, list) else [data]


@pytest.mark.parametrize("path", recorded("manga__") + recorded("GET_manga__"))
def test_recorded_titles_are_read(path: Path) -> None:
    for entity in entities(path):
        manga = extract.manga(entity)
        assert manga.title
        assert manga.status in extract.STATUSES
        attributes = entity["attributes"]
        names = [*attributes["title"].items(), *_pairs(attributes["altTitles"])]
        assert set(manga.titles) == {(language, name.strip()) for language, name in names}
        assert dict(manga.links) == {
            site: value for site, value in (attributes["links"] or {}).items() if value
        }


def _pairs(names: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [pair for each in names for pair in each.items()]


@pytest.mark.parametrize(
    "path", recorded("chapter") + recorded("GET_chapter") + recorded("GET_manga_id_feed")
)
def test_recorded_chapters_are_read(path: Path) -> None:
    for entity in entities(path):
        chapter = extract.chapter(entity)
        assert chapter.translated_language
        assert chapter.appeared_at >= chapter.readable_at
        groups = [each for each in entity["relationships"] if each["type"] == "scanlation_group"]
        assert chapter.groups == {UUID(each["id"]) for each in groups}
        named = {each["id"]: each["attributes"]["name"] for each in groups if "attributes" in each}
        assert {str(id): name for id, name in chapter.group_names} == named
