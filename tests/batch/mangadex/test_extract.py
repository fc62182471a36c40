"""Titles from JSON to values: every field's rule, and each refusal by the field's name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from batch.errors import ExtractionError
from batch.mangadex import extract
from batch.models import Manga
from tests.support.entities import TITLE_ID, USER_ID, related, tag, title_entity


def test_a_title_is_read_in_full() -> None:
    assert extract.manga(title_entity()) == Manga(
        mangadex_id=UUID(TITLE_ID),
        title="The Lighthouse Keeper's Debt",
        description="A lighthouse.",
        author="Ine Moss, Rolf Quay",
        status="ongoing",
        total_chapters=42,
        cover_url=f"https://uploads.mangadex.org/covers/{TITLE_ID}/0a1b.jpg",
        genres=("Drama", "Mystery"),
        content_rating="suggestive",
        numbering_restarts=False,
        created_at=datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
        version=7,
        titles=(("en", "The Lighthouse Keeper's Debt"), ("ja", "灯台守の借り")),
    )


@pytest.mark.parametrize(
    ("field", "attributes", "expected"),
    [
        pytest.param("title", {"title": {"ja": "塩", "ko": "소금"}}, "塩", id="first-of-all"),
        pytest.param("title", {"title": {"ja": "塩", "en": "Salt"}}, "Salt", id="english-second"),
        pytest.param("title", {"title": {"en": " ", "de": "Salz"}}, "Salz", id="english-blank"),
        pytest.param("title", {"title": {"en": None, "de": "Salz"}}, "Salz", id="english-null"),
        pytest.param("title", {"title": {"en": "  Salt\t"}}, "Salt", id="blanks-around"),
        pytest.param("title", {"title": {"en": "Sa\0lt"}}, "Salt", id="nul-dropped"),
        pytest.param("title", {"title": {"en": "Salt \ud83d"}}, "Salt", id="half-a-pair-dropped"),
        pytest.param("title", {"title": {"en": "Salt \U0001f9c2"}}, "Salt \U0001f9c2", id="emoji"),
        pytest.param("title", {"title": {}}, "灯台守の借り", id="alternative-for-none"),
        pytest.param("title", {"title": []}, "灯台守の借り", id="alternative-for-empty-list"),
        pytest.param("title", {"title": ...}, "灯台守の借り", id="alternative-for-absent"),
        pytest.param("title", {"title": {"en": "A" * 2_000}}, "A" * 2_000, id="longest"),
        pytest.param("description", {"description": {}}, None, id="no-description"),
        pytest.param("description", {"description": []}, None, id="description-as-list"),
        pytest.param("description", {"description": None}, None, id="description-null"),
        pytest.param("description", {"description": {"de": "Meer"}}, "Meer", id="not-in-english"),
        pytest.param("description", {"description": {"en": "\0"}}, None, id="only-a-nul"),
        pytest.param("status", {"status": "cancelled"}, "cancelled", id="cancelled"),
        pytest.param("status", {"status": None}, None, id="status-null"),
        pytest.param("status", {"status": ...}, None, id="status-absent"),
        pytest.param("status", {"status": ""}, None, id="status-empty"),
        pytest.param("total_chapters", {"lastChapter": None}, None, id="last-null"),
        pytest.param("total_chapters", {"lastChapter": ""}, None, id="last-empty"),
        pytest.param("total_chapters", {"lastChapter": "180"}, 180, id="last-whole"),
        pytest.param("total_chapters", {"lastChapter": " 7.9 "}, 7, id="last-with-blanks"),
        pytest.param("total_chapters", {"lastChapter": "12a"}, None, id="last-with-letter"),
        pytest.param("total_chapters", {"lastChapter": "-1"}, None, id="last-negative"),
        pytest.param("total_chapters", {"lastChapter": "1e9"}, None, id="last-exponent"),
        pytest.param("total_chapters", {"lastChapter": "9" * 10}, None, id="last-too-large"),
        pytest.param("total_chapters", {"lastChapter": "٣"}, None, id="last-in-other-digits"),
        pytest.param("genres", {"tags": []}, (), id="no-tags"),
        pytest.param("genres", {"tags": ...}, (), id="tags-absent"),
        pytest.param("genres", {"tags": None}, (), id="tags-null"),
        pytest.param("genres", {"tags": [tag("Isekai", "theme")]}, (), id="only-themes"),
        pytest.param("genres", {"tags": [tag("Drama")] * 2}, ("Drama",), id="genre-twice"),
        pytest.param("genres", {"tags": [None, 1, {}, tag(" ")]}, (), id="tags-of-nothing"),
        pytest.param("content_rating", {"contentRating": ...}, "safe", id="no-rating"),
        pytest.param(
            "numbering_restarts", {"chapterNumbersResetOnNewVolume": True}, True, id="restarts"
        ),
        pytest.param(
            "numbering_restarts", {"chapterNumbersResetOnNewVolume": ...}, False, id="old-data"
        ),
        pytest.param("version", {"version": ...}, 1, id="no-version"),
        pytest.param("version", {"updatedAt": None}, 7, id="a-field-that-nobody-reads"),
    ],
)
def test_a_title_is_read_by_the_rule_of_each_column(
    field: str, attributes: dict[str, Any], expected: object
) -> None:
    assert getattr(extract.manga(title_entity(**attributes)), field) == expected


@pytest.mark.parametrize(
    ("relationships", "author", "cover"),
    [
        pytest.param([], None, None, id="none"),
        pytest.param(None, None, None, id="null"),
        pytest.param([{"id": USER_ID, "type": "author"}], None, None, id="not-expanded"),
        pytest.param([{"type": "author", "attributes": None}], None, None, id="expanded-to-null"),
        pytest.param([None, 3, "author"], None, None, id="not-objects"),
        pytest.param([related("author", name="Ine")] * 2, "Ine", None, id="author-twice"),
        pytest.param([related("author", name=" \0")], None, None, id="author-without-name"),
        pytest.param([related("cover_art", fileName=" ")], None, None, id="cover-without-name"),
        pytest.param([related("cover_art", fileName="b.png")], None, "b.png", id="cover"),
    ],
)
def test_author_and_cover_come_from_the_relationships_that_are_expanded(
    relationships: object, author: str | None, cover: str | None
) -> None:
    manga = extract.manga(title_entity() | {"relationships": relationships})
    url = f"https://uploads.mangadex.org/covers/{TITLE_ID}/{cover}" if cover else None
    assert (manga.author, manga.cover_url) == (author, url)


def test_a_title_without_relationships_is_read() -> None:
    entity = title_entity()
    del entity["relationships"]
    assert extract.manga(entity).author is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-06-15T21:46:40+00:00", datetime(2025, 6, 15, 21, 46, 40, tzinfo=UTC)),
        ("2025-06-15T21:46:40Z", datetime(2025, 6, 15, 21, 46, 40, tzinfo=UTC)),
        ("2025-06-15T21:46:40", datetime(2025, 6, 15, 21, 46, 40, tzinfo=UTC)),
        ("2025-06-15T21:46:40+14:00", datetime(2025, 6, 15, 7, 46, 40, tzinfo=UTC)),
        ("2025-06-15T21:46:40-09:30", datetime(2025, 6, 16, 7, 16, 40, tzinfo=UTC)),
        ("2025-06-15T21:46:40.250+00:00", datetime(2025, 6, 15, 21, 46, 40, 250_000, UTC)),
    ],
)
def test_times_are_read_as_utc_whatever_their_zone(text: str, moment: datetime) -> None:
    assert extract.manga(title_entity(createdAt=text)).created_at == moment


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        pytest.param({"title": {"en": 12_345}}, "attributes.title", id="title-number"),
        pytest.param({"title": "Salt"}, "attributes.title", id="title-text"),
        pytest.param({"title": {"en": "A" * 2_001}}, "2,001 characters", id="title-too-long"),
        pytest.param({"title": {}, "altTitles": []}, "attributes.title is empty", id="no-title"),
        pytest.param({"title": {}, "altTitles": "x"}, "attributes.title is empty", id="no-titles"),
        pytest.param({"description": {"en": ["x"]}}, "attributes.description", id="description"),
        pytest.param({"status": "axed"}, "attributes.status is 'axed'", id="unknown-status"),
        pytest.param({"status": 1}, "attributes.status is a number", id="status-number"),
        pytest.param({"lastChapter": 12}, "attributes.lastChapter", id="last-chapter-number"),
        pytest.param({"tags": {}}, "attributes.tags is an object", id="tags-object"),
        pytest.param({"tags": [tag(5)]}, "attributes.name", id="genre-number"),
        pytest.param({"tags": [tag("G" * 201)]}, "genre's name has 201", id="genre-too-long"),
        pytest.param({"createdAt": "yesterday"}, "createdAt is 'yesterday'", id="no-date"),
        pytest.param({"createdAt": None}, "createdAt is missing", id="date-null"),
        pytest.param({"createdAt": 1_700_000_000}, "createdAt is a number", id="epoch"),
        pytest.param({"createdAt": "0001-01-01T00:00:00+01:00"}, "createdAt", id="before-all"),
        pytest.param({"version": "3"}, "attributes.version is '3'", id="version-text"),
        pytest.param({"version": True}, "attributes.version is a boolean", id="version-boolean"),
        pytest.param({"version": 2**31}, "attributes.version", id="version-too-large"),
        pytest.param({"version": float("nan")}, "attributes.version", id="version-nan"),
        pytest.param(
            {"chapterNumbersResetOnNewVolume": "no"}, "attributes.chapterNumbersReset", id="flag"
        ),
        pytest.param({"contentRating": 5}, "attributes.contentRating", id="rating-number"),
    ],
)
def test_a_title_with_a_wrong_field_is_refused_by_the_name_of_that_field(
    attributes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ExtractionError) as caught:
        extract.manga(title_entity(**attributes))
    assert named in caught.value.reason
    assert caught.value.mangadex_id == TITLE_ID


@pytest.mark.parametrize(
    ("entity", "named", "reason"),
    [
        pytest.param({}, "the id None", "attributes is missing", id="empty"),
        pytest.param({"id": TITLE_ID}, TITLE_ID, "attributes is missing", id="no-attributes"),
        pytest.param({"id": TITLE_ID, "attributes": []}, TITLE_ID, "a list", id="attributes-list"),
        pytest.param(
            title_entity() | {"id": "not-a-uuid"}, "the id 'not-a-uuid'", "not a UUID", id="bad-id"
        ),
        pytest.param(title_entity() | {"id": 17}, "the id a number", "not a UUID", id="number-id"),
        pytest.param(title_entity() | {"id": f"{{{TITLE_ID}}}"}, "id '{", "UUID", id="braces"),
        pytest.param(title_entity() | {"relationships": {}}, TITLE_ID, "an object", id="related"),
    ],
)
def test_an_entity_that_is_no_title_is_refused(
    entity: dict[str, Any], named: str, reason: str
) -> None:
    with pytest.raises(ExtractionError) as caught:
        extract.manga(entity)
    assert named in caught.value.mangadex_id
    assert reason in caught.value.reason


def test_an_id_in_upper_case_is_the_same_id() -> None:
    entity = title_entity() | {"id": TITLE_ID.upper()}
    assert extract.manga(entity).mangadex_id == UUID(TITLE_ID)
    with pytest.raises(ExtractionError) as caught:
        extract.manga(entity | {"attributes": 0})
    assert caught.value.mangadex_id == TITLE_ID


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({"title": {"en": "Salt"}, "altTitles": []}, (("en", "Salt"),), id="one"),
        pytest.param(
            {"title": {"en": "Salt"}, "altTitles": [{"ja": "塩"}, {"ja": "しお"}, {"en": "Salt"}]},
            (("en", "Salt"), ("ja", "塩"), ("ja", "しお")),
            id="two of one language, and one twice",
        ),
        pytest.param(
            {"title": {"en": "Salt"}, "altTitles": [None, 7, {"de": None}, {"fr": 3}, {"it": " "}]},
            (("en", "Salt"),), id="what is no text",
        ),
        pytest.param({"title": {"en": "Salt"}, "altTitles": None}, (("en", "Salt"),), id="null"),
        pytest.param(
            {"title": {"en": "Salt"}, "altTitles": [{"de": "x" * 501}]}, (("en", "Salt"),),
            id="too long",
        ),
    ],
)  # fmt: skip
def test_all_names_are_read(attributes: dict[str, Any], expected: object) -> None:
    assert extract.manga(title_entity(**attributes)).titles == expected


def test_of_very_many_names_the_first_are_read() -> None:
    many = [{"en": f"Salt {n}"} for n in range(1_000)]
    assert len(extract.manga(title_entity(altTitles=many)).titles) == 300


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (None, ()), ([], ()), ({}, ()), ("al", ()),
        ({"al": "30013", "mal": 13, "kt": " 7 "}, (("al", "30013"), ("mal", "13"), ("kt", "7"))),
        ({"al": None, "mu": True, "ap": "", "x" * 30: "1", "bw": "y" * 300}, ()),
    ],
)  # fmt: skip
def test_links_are_read(links: object, expected: object) -> None:
    assert extract.manga(title_entity(links=links)).links == expected
