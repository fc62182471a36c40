"""Chapters from JSON to values: every field's rule, and each refusal by the field's name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from batch.errors import ExtractionError
from batch.mangadex import extract
from batch.models import Chapter, plain_decimal
from tests.support.entities import CHAPTER_ID, GROUP_ID, TITLE_ID, USER_ID, chapter_entity


def test_a_chapter_is_read_in_full() -> None:
    assert extract.chapter(chapter_entity()) == Chapter(
        mangadex_chapter_id=UUID(CHAPTER_ID),
        manga_mangadex_id=UUID(TITLE_ID),
        translated_language="pt-br",
        volume="3",
        number=Decimal("10.50"),
        title="Low tide",
        external_url=None,
        pages=18,
        readable_at=datetime(2025, 5, 1, 12, tzinfo=UTC),
        appeared_at=datetime(2025, 5, 1, 12, tzinfo=UTC),
        groups=frozenset({UUID(GROUP_ID)}),
        uploader=UUID(USER_ID),
        is_unavailable=False,
    )


@pytest.mark.parametrize(
    ("field", "attributes", "expected"),
    [
        pytest.param("number", {"chapter": None}, None, id="oneshot"),
        pytest.param("number", {"chapter": ""}, None, id="number-empty"),
        pytest.param("number", {"chapter": " 4 "}, Decimal("4.00"), id="number-with-blanks"),
        pytest.param("number", {"chapter": "12a"}, None, id="number-with-letter"),
        pytest.param("volume", {"volume": None}, None, id="no-volume"),
        pytest.param("volume", {"volume": " 3Cxx "}, "3Cxx", id="volume-by-name"),
        pytest.param("title", {"title": None}, None, id="title-null"),
        pytest.param("title", {"title": ""}, None, id="title-empty"),
        pytest.param("title", {"title": "a\0b\udc00"}, "ab", id="title-not-storable"),
        pytest.param("external_url", {"externalUrl": "https://p.example/1"}, "https://p.example/1",
                     id="external"),
        pytest.param("is_unavailable", {"isUnavailable": True}, True, id="taken-down"),
        pytest.param("is_unavailable", {"isUnavailable": ...}, False, id="old-answer"),
        pytest.param("pages", {"pages": None}, 0, id="no-pages"),
        pytest.param("readable_at", {"readableAt": ...}, datetime(2025, 5, 1, 12, tzinfo=UTC),
                     id="readable-as-published"),
        pytest.param("appeared_at", {"createdAt": "2025-05-02T00:00:00Z"},
                     datetime(2025, 5, 2, tzinfo=UTC), id="back-dated"),
        pytest.param("appeared_at", {"createdAt": ...}, datetime(2025, 5, 1, 12, tzinfo=UTC),
                     id="creation-unknown"),
    ],
)  # fmt: skip
def test_a_chapter_is_read_by_the_rule_of_each_column(
    field: str, attributes: dict[str, Any], expected: object
) -> None:
    assert getattr(extract.chapter(chapter_entity(**attributes)), field) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, None), ("", None), ("0", "0"), ("007", "7"), ("10.5", "10.5"), ("10.005", None),
        ("10.004999", None), ("10.1000", "10.1"),
        ("99999999.99", "99999999.99"), ("99999999.995", None),
        ("100000000", None), ("-1", None), ("+1", None), ("1e3", None), ("1,5", None), ("1.", None),
        (".5", None), ("NaN", None), ("Infinity", None), ("1_000", None),
        ("１", None), ("5\n", "5"),
        ("1.2.3", None), ("9" * 5_000, None),
    ],
)  # fmt: skip
def test_a_number_counts_where_it_is_a_plain_decimal_that_fits_the_column(
    text: str | None, number: str | None
) -> None:
    assert plain_decimal(text) == (None if number is None else Decimal(number))


def test_the_group_that_means_none_and_groups_without_a_usable_id_are_left_out() -> None:
    entity = chapter_entity()
    entity["relationships"][1]["id"] = str(extract.NO_GROUP)
    entity["relationships"].append({"id": "?", "type": "scanlation_group"})
    assert extract.chapter(entity).groups == frozenset()


def test_a_chapter_may_lack_its_uploader() -> None:
    entity = chapter_entity()
    del entity["relationships"][2]
    assert extract.chapter(entity).uploader is None


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        pytest.param({"translatedLanguage": None}, "translatedLanguage is missing", id="language"),
        pytest.param({"translatedLanguage": "x" * 201}, "201 characters", id="language-too-long"),
        pytest.param({"volume": "9" * 1_000_000}, "1,000,000 characters", id="volume-too-long"),
        pytest.param({"volume": 3}, "attributes.volume is a number", id="volume-number"),
        pytest.param({"chapter": 10.5}, "attributes.chapter is a number", id="number-number"),
        pytest.param({"isUnavailable": 1}, "attributes.isUnavailable", id="flag-number"),
        pytest.param({"readableAt": ..., "publishAt": ...}, "publishAt is missing", id="undated"),
        pytest.param({"readableAt": []}, "publishAt", id="readable-list"),
        pytest.param({"createdAt": "soon"}, "createdAt is 'soon'", id="creation"),
    ],
)
def test_a_chapter_with_a_wrong_field_is_refused_by_the_name_of_that_field(
    attributes: dict[str, Any], named: str
) -> None:
    entity = chapter_entity(**{"publishAt": None, **attributes})
    with pytest.raises(ExtractionError) as caught:
        extract.chapter(entity)
    assert named in caught.value.reason
    assert caught.value.mangadex_id == CHAPTER_ID


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        pytest.param({"title": 12_345}, "title", None, id="title-number"),
        pytest.param({"externalUrl": ["x"]}, "external_url", None, id="link-list"),
        pytest.param({"pages": -1}, "pages", 0, id="pages-negative"),
        pytest.param({"pages": 10**400}, "pages", 0, id="pages-too-large"),
    ],
)
def test_a_wrong_field_that_readers_can_do_without_costs_nothing_else(
    attributes: dict[str, Any], field: str, value: object
) -> None:
    assert getattr(extract.chapter(chapter_entity(**attributes)), field) == value


def test_a_chapter_of_no_title_is_refused() -> None:
    entity = chapter_entity() | {"relationships": []}
    with pytest.raises(ExtractionError, match="the related manga's id is missing"):
        extract.chapter(entity)
