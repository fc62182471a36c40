"""From JSON to values: every field's rule, and no JSON that fails in an unforeseen way."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch import extract
from batch.errors import ExtractionError
from batch.models import Chapter, Manga

ANSWERS = Path(__file__).resolve().parents[3] / "shared/mangadex/answers"
TITLE_ID = "0d1e2f30-4152-4364-9586-a7b8c9dae0f1"
CHAPTER_ID = "5a6b7c8d-9e0f-4a1b-8c2d-3e4f50617283"
GROUP_ID = "11111111-2222-4333-8444-555555555555"
USER_ID = "99999999-8888-4777-8666-555555555555"


def title_entity(**attributes: Any) -> dict[str, Any]:
    """A title as the API sends it; `...` leaves an attribute out."""
    usual: dict[str, Any] = {
        "title": {"en": "The Lighthouse Keeper's Debt"},
        "altTitles": [{"ja": "灯台守の借り"}],
        "description": {"fr": "Un phare.", "en": "A lighthouse."},
        "status": "ongoing",
        "lastChapter": "42.5",
        "contentRating": "suggestive",
        "chapterNumbersResetOnNewVolume": False,
        "tags": [tag("Drama"), tag("Award Winning", group="format"), tag("Mystery")],
        "createdAt": "2024-02-29T23:59:59+00:00",
        "updatedAt": "2025-01-02T03:04:05+00:00",
        "version": 7,
    }
    return {
        "id": TITLE_ID,
        "type": "manga",
        "attributes": {k: v for k, v in (usual | attributes).items() if v is not ...},
        "relationships": [
            related("author", name="Ine Moss"),
            related("artist", name="Somebody Else"),
            related("author", name="Rolf Quay"),
            related("cover_art", fileName="0a1b.jpg"),
        ],
    }


def chapter_entity(**attributes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "translatedLanguage": "pt-br",
        "volume": "3",
        "chapter": "10.5",
        "title": "Low tide",
        "externalUrl": None,
        "pages": 18,
        "createdAt": "2025-05-01T10:00:00+00:00",
        "publishAt": "2025-05-01T12:00:00+00:00",
        "readableAt": "2025-05-01T12:00:00+00:00",
        "isUnavailable": False,
        "version": 1,
    }
    return {
        "id": CHAPTER_ID,
        "type": "chapter",
        "attributes": {k: v for k, v in (usual | attributes).items() if v is not ...},
        "relationships": [
            {"id": TITLE_ID, "type": "manga"},
            {"id": GROUP_ID, "type": "scanlation_group"},
            {"id": USER_ID, "type": "user"},
        ],
    }


def tag(name: object, group: str = "genre") -> dict[str, Any]:
    return {"type": "tag", "attributes": {"group": group, "name": {"en": name}}}


def related(kind: str, **attributes: Any) -> dict[str, Any]:
    return {"id": USER_ID, "type": kind, "attributes": attributes}


# --- titles ------------------------------------------------------------------------------------


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
        updated_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
        version=7,
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
        pytest.param({"updatedAt": 1_700_000_000}, "updatedAt is a number", id="epoch"),
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


# --- chapters ----------------------------------------------------------------------------------


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
        (None, None), ("", None), ("0", "0"), ("007", "7"), ("10.5", "10.5"), ("10.005", "10.01"),
        ("10.004999", "10"), ("99999999.99", "99999999.99"), ("99999999.995", None),
        ("100000000", None), ("-1", None), ("+1", None), ("1e3", None), ("1,5", None), ("1.", None),
        (".5", None), ("NaN", None), ("Infinity", None), ("1_000", None),
        ("１", None), ("5\n", "5"),
        ("1.2.3", None), ("9" * 5_000, None),
    ],
)  # fmt: skip
def test_a_number_counts_where_it_is_a_plain_decimal_that_fits_the_column(
    text: str | None, number: str | None
) -> None:
    assert extract.plain_decimal(text) == (None if number is None else Decimal(number))


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
        pytest.param({"title": 12_345}, "attributes.title is a number", id="title-number"),
        pytest.param({"pages": -1}, "attributes.pages", id="pages-negative"),
        pytest.param({"pages": 10**400}, "attributes.pages", id="pages-too-large"),
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


def test_a_chapter_of_no_title_is_refused() -> None:
    entity = chapter_entity() | {"relationships": []}
    with pytest.raises(ExtractionError, match="the related manga's id is missing"):
        extract.chapter(entity)


# --- any JSON ----------------------------------------------------------------------------------

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
    for text in [value] if isinstance(value, str) else value if isinstance(value, tuple) else []:
        assert "\0" not in text
        text.encode()


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


@pytest.mark.parametrize(
    "path", recorded("chapter") + recorded("GET_chapter") + recorded("GET_manga_id_feed")
)
def test_recorded_chapters_are_read(path: Path) -> None:
    for entity in entities(path):
        chapter = extract.chapter(entity)
        assert chapter.translated_language
        assert chapter.appeared_at >= chapter.readable_at
