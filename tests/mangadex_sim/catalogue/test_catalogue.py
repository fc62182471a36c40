"""The invented catalogue: deterministic, pleasant, and awkward where the real one is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from mangadex_sim.catalogue.bulk_facts import HISTORY_START
from mangadex_sim.catalogue.models import ChapterRow, Json, MangaEntry
from mangadex_sim.catalogue.people import NO_GROUP
from mangadex_sim.catalogue.state import Catalogue
from mangadex_sim.catalogue.traits import TRAITS, has_trait, is_external

END = 1_759_276_800
NOW = END + 10_000_000
COUNT = 150
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(seed=1, count=COUNT, history_end=END)


@pytest.fixture(scope="module")
def titles(catalogue: Catalogue) -> list[MangaEntry]:
    return [catalogue.title(index, NOW) for index in range(COUNT)]


def carriers(name: str) -> list[int]:
    return [index for index in range(COUNT) if has_trait(index, name)]


@pytest.mark.parametrize("name", TRAITS)
def test_the_first_150_titles_show_every_trait(name: str) -> None:
    assert carriers(name)


TITLE_CASES: dict[str, Callable[[Json], Any]] = {
    "title_without_en": lambda a: "en" not in a["title"],
    "japanese_title_only": lambda a: "の" in a["title"]["ja"],
    "very_long_title": lambda a: len(a["title"].get("en", "x" * 240)) >= 240,
    "entities_in_title": lambda a: "&amp;" in str(a["title"]) or "en" not in a["title"],
    "alt_titles_empty": lambda a: a["altTitles"] == [],
    "description_list": lambda a: a["description"] == [],
    "last_chapter_null": lambda a: a["lastChapter"] is None,
    "links_list": lambda a: a["links"] == [],
    "is_locked_absent": lambda a: "isLocked" not in a,
    "reset_flag_absent": lambda a: "chapterNumbersResetOnNewVolume" not in a,
    "year_null": lambda a: a["year"] is None,
    "no_tags": lambda a: a["tags"] == [],
    "languages_with_null": lambda a: None in a["availableTranslatedLanguages"],
    "official_links": lambda a: a["officialLinks"],
    "tag_descriptions_list": lambda a: all(t["attributes"]["description"] == [] for t in a["tags"]),
}


@pytest.mark.parametrize("name", TITLE_CASES)
def test_a_title_with_a_trait_shows_it(name: str, titles: list[MangaEntry]) -> None:
    assert all(TITLE_CASES[name](titles[index].attributes) for index in carriers(name))


SOMEWHERE: dict[str, Callable[[Json], Any]] = {
    "description is an empty map": lambda a: a["description"] == {},
    "description lacks English": lambda a: a["description"] and "en" not in a["description"],
    "description has CRLF": lambda a: (
        "\r\n" in str(dict(a["description"] or {}).values()).encode().decode("unicode_escape")
    ),
    "description has entities": lambda a: "&quot;" in str(a["description"]),
    "links is null": lambda a: a["links"] is None,
    "links is an empty map": lambda a: a["links"] == {},
    "lastChapter is empty": lambda a: a["lastChapter"] == "",
    "lastChapter is empty although completed": lambda a: (
        a["lastChapter"] == "" and a["status"] == "completed"
    ),
    "lastChapter is a number": lambda a: (a["lastChapter"] or "").isdigit(),
    "lastChapter is a fraction": lambda a: a["lastChapter"] == "7.5",
    "lastChapter is a word": lambda a: (a["lastChapter"] or "").isalpha(),
    "no translated language": lambda a: a["availableTranslatedLanguages"] == [],
    "no chapter at all": lambda a: a["latestUploadedChapter"] is None,
    "locked": lambda a: a.get("isLocked"),
    "tag descriptions are maps": lambda a: any(
        t["attributes"]["description"] == {} for t in a["tags"]
    ),
    "pornographic": lambda a: a["contentRating"] == "pornographic",
    "cancelled": lambda a: a["status"] == "cancelled",
    "no demographic": lambda a: a["publicationDemographic"] is None,
}


@pytest.mark.parametrize("case", SOMEWHERE)
def test_some_title_has_the_case(case: str, titles: list[MangaEntry]) -> None:
    assert any(SOMEWHERE[case](title.attributes) for title in titles)


def types_of(title: MangaEntry) -> list[str]:
    return [each.type for each in title.references]


RELATIONSHIPS: dict[str, Callable[[MangaEntry], Any]] = {
    "several authors": lambda t: types_of(t).count("author") == 2,
    "author is the artist": lambda t: (
        len({each.id for each in t.references if each.type in ("author", "artist")}) == 1
    ),
    "author is not the artist": lambda t: (
        types_of(t).count("author") == 1
        and len({each.id for each in t.references if each.type in ("author", "artist")}) == 2
    ),
    "author cannot be expanded": lambda t: any(
        each.type == "author" and each.attributes is None for each in t.references
    ),
    "creator cannot be expanded": lambda t: any(
        each.type == "creator" and each.attributes is None for each in t.references
    ),
    "creator can be expanded": lambda t: any(
        each.type == "creator" and each.attributes for each in t.references
    ),
    "author is missing": lambda t: "author" not in types_of(t),
    "related title": lambda t: any(each.related == "prequel" for each in t.references),
}


@pytest.mark.parametrize("case", RELATIONSHIPS)
def test_some_title_has_the_relationships(case: str, titles: list[MangaEntry]) -> None:
    assert any(RELATIONSHIPS[case](title) for title in titles)


def slug(title: MangaEntry) -> str:
    text = str(title.attributes["title"].get("en", "")).lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def test_some_titles_share_a_slug_and_some_have_none(titles: list[MangaEntry]) -> None:
    slugs = [slug(title) for title in titles]
    assert "" in slugs
    filled = [each for each in slugs if each]
    assert len(set(filled)) < len(filled)


CHAPTER_CASES: dict[str, Callable[[ChapterRow], Any]] = {
    "number is null": lambda c: c.number is None,
    "number is a fraction": lambda c: c.number and re.fullmatch(r"\d+\.5", c.number),
    "number has a letter": lambda c: c.number and re.fullmatch(r"\d+[ab]", c.number),
    "number has blanks around": lambda c: c.number and c.number != c.number.strip(),
    "number is zero": lambda c: c.number == "0",
    "volume is odd": lambda c: c.volume == "3Cxx",
    "volume is null beside a number": lambda c: c.volume is None and c.number,
    "title is null": lambda c: c.title is None,
    "title is empty": lambda c: c.title == "",
    "no group": lambda c: c.groups == (),
    "two groups": lambda c: len(c.groups) == 2,
    "the old no-group": lambda c: c.groups == (NO_GROUP,),
    "no uploader": lambda c: c.uploader is None,
    "a link only": lambda c: (
        c.external_url and c.pages == 0 and c.publish > NOW and c.readable == c.created
    ),
    "taken down": lambda c: c.unavailable,
    "published a second after creation": lambda c: c.publish == c.created + 1,
    "edited": lambda c: c.version > 1,
    "not English": lambda c: c.language != "en",
}


@pytest.mark.parametrize("case", CHAPTER_CASES)
def test_some_chapter_has_the_case(case: str, catalogue: Catalogue) -> None:
    assert any(
        CHAPTER_CASES[case](chapter)
        for index in range(COUNT)
        for chapter in catalogue.chapters_of(index)
    )


def test_one_number_is_many_rows(catalogue: Catalogue) -> None:
    def uploads(index: int) -> list[tuple[object, ...]]:
        return [(c.number, c.volume, c.language, c.groups) for c in catalogue.chapters_of(index)]

    reuploads = [index for index in range(COUNT) if len(set(uploads(index))) < len(uploads(index))]
    by_several = [
        index
        for index in range(COUNT)
        if len({each[:3] for each in uploads(index)}) < len(set(uploads(index)))
    ]
    assert reuploads and by_several


def test_numbers_restart_with_the_volume_where_the_title_says_so(catalogue: Catalogue) -> None:
    restarting = [index for index in range(COUNT * 4) if has_trait(index, "numbers_restart")]
    big = Catalogue(seed=1, count=COUNT * 4, history_end=END)
    chapters = [chapter for index in restarting for chapter in big.chapters_of(index)]
    assert {c.volume for c in chapters if c.number == "1"} >= {"1", "2"}
    assert all(
        big.title(index, NOW).attributes.get("chapterNumbersResetOnNewVolume", True)
        for index in restarting
    )


def test_another_start_invents_the_same(titles: list[MangaEntry], catalogue: Catalogue) -> None:
    again = Catalogue(seed=1, count=COUNT, history_end=END)
    assert [again.title(index, NOW) for index in range(COUNT)] == titles
    assert again.chapters_of(3) == catalogue.chapters_of(3)


def test_another_seed_invents_another_catalogue(titles: list[MangaEntry]) -> None:
    other = Catalogue(seed=2, count=COUNT, history_end=END)
    assert other.title(0, NOW).attributes["title"] != titles[0].attributes["title"]


def test_a_title_keeps_its_name_in_a_larger_catalogue(titles: list[MangaEntry]) -> None:
    larger = Catalogue(seed=1, count=2 * COUNT, history_end=END).title(9, NOW)
    assert (larger.id, larger.attributes["title"]) == (titles[9].id, titles[9].attributes["title"])


def test_creation_rises_with_the_index_and_some_share_a_second(catalogue: Catalogue) -> None:
    created = list(catalogue.bulk.created)
    assert created == sorted(created)
    assert len(set(created)) < COUNT
    assert created[0] >= HISTORY_START and created[-1] <= END
    assert all(c <= u <= END for c, u in zip(created, catalogue.bulk.updated, strict=True))


def test_all_history_lies_before_its_end_and_after_the_titles_birth(catalogue: Catalogue) -> None:
    for index in range(COUNT):
        for chapter in catalogue.chapters_of(index):
            assert catalogue.bulk.created[index] < chapter.readable < END
            assert chapter.updated < END


def test_the_newest_chapter_is_the_latest_uploaded_one(
    catalogue: Catalogue, titles: list[MangaEntry]
) -> None:
    for title in titles:
        readable = [c for c in catalogue.chapters_of(title.index) if not c.unavailable]
        newest = max(readable, key=lambda c: (c.readable, c.key), default=None)
        expected = catalogue.ids.to_text(newest.key) if newest else None
        assert title.attributes["latestUploadedChapter"] == expected


def test_dates_have_an_offset_and_no_fraction(titles: list[MangaEntry]) -> None:
    assert all(
        DATE.fullmatch(title.attributes[name])
        for title in titles
        for name in ("createdAt", "updatedAt")
    )


def test_no_text_has_a_nul_or_a_wrong_article(titles: list[MangaEntry]) -> None:
    for title in titles:
        text = str(title.attributes)
        assert "\\x00" not in text
        assert not re.search(r"\ba [aeio]", str(title.attributes["title"]))


def test_external_titles_get_rare_far_out() -> None:
    near = sum(is_external(index) for index in range(1_000))
    far = sum(is_external(index) for index in range(50_000, 51_000))
    assert near > 5 * far > 0


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_a_tiny_catalogue_works_too(count: int) -> None:
    tiny = Catalogue(seed=3, count=count, history_end=END)
    assert [tiny.title(index, NOW).index for index in tiny.indexes()] == list(range(count))
    assert {chapter.manga for chapter in tiny.history.irregular} <= {4}
