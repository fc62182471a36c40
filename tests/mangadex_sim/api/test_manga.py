"""GET /manga, /manga/{id}, /manga/tag, /statistics/manga."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from mangadex_sim import SimControl
from tests.mangadex_sim.conftest import Asker

Make = Callable[..., Asker]
Json = dict[str, Any]

ALL = (
    "contentRating[]=safe&contentRating[]=suggestive&contentRating[]=erotica"
    "&contentRating[]=pornographic"
)


def walk(asker: Asker, query: str, limit: int = 25) -> list[Json]:
    """Read all pages of a list."""
    rows: list[Json] = []
    for _ in range(400):
        page = asker.json(f"{query}&limit={limit}&offset={len(rows)}")
        rows += page["data"]
        if len(rows) >= page["total"]:
            return rows
    raise AssertionError("the list does not end")


def test_the_default_page_has_ten_without_the_pornographic(asker: Asker) -> None:
    page = asker.json("/manga")
    assert (len(page["data"]), page["limit"], page["offset"]) == (10, 10, 0)
    everything = asker.json(f"/manga?limit=0&{ALL}")
    assert everything["total"] == 60 > page["total"]
    assert everything["data"] == []


@pytest.mark.parametrize(
    "field",
    [
        "createdAt",
        "updatedAt",
        "year",
        "title",
        "followedCount",
        "latestUploadedChapter",
        "rating",
        "relevance",
    ],
)
def test_paging_by_any_order_gives_every_title_once(field: str, asker: Asker) -> None:
    up = [m["id"] for m in walk(asker, f"/manga?{ALL}&order[{field}]=asc")]
    down = [m["id"] for m in walk(asker, f"/manga?{ALL}&order[{field}]=desc")]
    assert len(set(up)) == 60 and set(up) == set(down)


@pytest.mark.parametrize("field", ["createdAt", "updatedAt"])
def test_dates_are_in_order(field: str, asker: Asker) -> None:
    dates = [m["attributes"][field] for m in walk(asker, f"/manga?{ALL}&order[{field}]=asc")]
    assert dates == sorted(dates)


def test_followers_are_in_order(asker: Asker) -> None:
    ids = [m["id"] for m in walk(asker, "/manga?order[followedCount]=desc")]
    query = "&".join(f"manga[]={each}" for each in ids)
    numbers = asker.json(f"/statistics/manga?{query}")["statistics"]
    follows = [numbers[each]["follows"] for each in ids]
    assert follows == sorted(follows, reverse=True)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("field", ["createdAt", "updatedAt"])
def test_since_includes_its_second_by_default(field: str, exclusive: bool, make_sim: Make) -> None:
    asker = make_sim(titles=40, since_inclusive=not exclusive)
    rows = walk(asker, f"/manga?{ALL}&order[{field}]=asc")
    since = rows[20]["attributes"][field]
    expected = [
        m["id"]
        for m in rows
        if m["attributes"][field] > since or (m["attributes"][field] == since and not exclusive)
    ]
    found = walk(asker, f"/manga?{ALL}&order[{field}]=asc&{field}Since={since[:19]}")
    assert [m["id"] for m in found] == expected


def test_ids_come_in_list_order_without_the_unknown_and_the_filtered(asker: Asker) -> None:
    rows = walk(asker, f"/manga?{ALL}&order[createdAt]=asc")
    hidden = [m["id"] for m in rows if m["attributes"]["contentRating"] == "pornographic"]
    shown = [m["id"] for m in rows if m["id"] not in hidden][:12]
    asked = [*reversed(shown), hidden[0], "7c9e6679-7425-40de-944b-e07fc1f90ae7"]
    query = "&".join(f"ids[]={each}" for each in asked)
    page = asker.json(f"/manga?{query}&limit=100&order[createdAt]=asc")
    assert [m["id"] for m in page["data"]] == shown
    assert asker.json(f"/manga?{query}&limit=100&{ALL}")["total"] == 13
    assert len(asker.json(f"/manga?{query}")["data"]) == 10


def test_an_upper_case_id_is_the_same_title(asker: Asker) -> None:
    title = asker.sim.title_ids(0, 1)[0]
    assert asker.json(f"/manga/{title.upper()}")["data"]["id"] == title


def test_one_title_is_shown_whatever_its_rating(asker: Asker) -> None:
    rows = walk(asker, f"/manga?{ALL}&order[createdAt]=asc")
    hidden = next(m for m in rows if m["attributes"]["contentRating"] == "pornographic")
    assert asker.json(f"/manga/{hidden['id']}")["data"] == hidden


@pytest.mark.parametrize(
    "target",
    [
        "/manga/7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "/manga/nonsense",
        "/manga/",
        "/nowhere",
        "/",
        "//",
        "/manga/7c9e6679-7425-40de-944b-e07fc1f90ae7x",
        "/chapter/7c9e6679-7425-40de-944b-e07fc1f90ae7",
    ],
)
def test_what_is_not_there_is_a_json_404(target: str, asker: Asker) -> None:
    response = asker.get(target)
    assert response.status_code == 404
    assert response.json()["errors"][0]["title"] == "not_found_http_exception"


def test_a_chapters_id_is_no_titles_id(asker: Asker) -> None:
    chapter = asker.json("/chapter")["data"][0]["id"]
    assert asker.get(f"/manga/{chapter}").status_code == 404
    assert asker.get(f"/chapter/{asker.sim.title_ids(0, 1)[0]}").status_code == 404


INCLUDES = ["author", "artist", "cover_art", "creator", "manga"]


def expanded(titles: list[Json], kind: str) -> list[bool]:
    return [
        "attributes" in each
        for title in titles
        for each in title["relationships"]
        if each["type"] == kind
    ]


@pytest.mark.parametrize("kind", INCLUDES)
def test_references_are_expanded_only_when_asked(kind: str, asker: Asker) -> None:
    bare = asker.json("/manga?limit=100")["data"]
    assert not any(any(expanded(bare, each)) for each in INCLUDES)
    full = asker.json(f"/manga?limit=100&includes[]={kind}")["data"]
    assert any(expanded(full, kind))
    assert not any(any(expanded(full, each)) for each in INCLUDES if each != kind)


def test_a_removed_title_is_gone_and_comes_back(asker: Asker) -> None:
    title = asker.sim.title_ids(0, 1)[0]
    before = asker.json(f"/manga/{title}")
    asker.sim.remove_title(title)
    assert asker.get(f"/manga/{title}").status_code == 404
    assert asker.json(f"/manga?{ALL}&ids[]={title}")["data"] == []
    assert asker.json(f"/manga?{ALL}")["total"] == 59
    feed = asker.json(f"/manga/{title}/feed?{ALL}")
    assert (feed["data"], feed["total"]) == ([], 0)
    assert asker.json(f"/manga/{title}/aggregate")["volumes"] == []
    asker.sim.restore_title(title)
    assert asker.json(f"/manga/{title}") == before


def test_a_removed_titles_chapters_leave_the_global_list(asker: Asker) -> None:
    def mangas() -> set[str]:
        rows = walk(asker, f"/chapter?{ALL}&order[createdAt]=asc", 100)
        return {r["id"] for row in rows for r in row["relationships"] if r["type"] == "manga"}

    title = next(iter(mangas()))
    chapter = asker.json(f"/manga/{title}/feed?{ALL}&includeUnavailable=1")["data"][0]["id"]
    asker.sim.remove_title(title)
    assert title not in mangas()
    assert asker.get(f"/chapter/{chapter}").status_code == 404


def test_an_added_title_is_the_newest(asker: Asker) -> None:
    added = asker.sim.add_title(
        title="Late Snow",
        contentRating="erotica",
        authors=["Ito Nagare"],
        tags=["Fantasy"],
        status="hiatus",
        originalLanguage="ko",
        description="Snow.",
        year=1999,
        lastChapter="12",
    )
    page = asker.json("/manga?order[createdAt]=desc&includes[]=author&includes[]=artist")
    title = page["data"][0]
    attributes = title["attributes"]
    assert title["id"] == added
    assert attributes["title"] == {"en": "Late Snow"}
    assert attributes["description"] == {"en": "Snow."}
    assert (attributes["status"], attributes["originalLanguage"]) == ("hiatus", "ko")
    assert (attributes["year"], attributes["lastChapter"]) == (1999, "12")
    assert attributes["createdAt"] == attributes["updatedAt"]
    assert [t["attributes"]["name"]["en"] for t in attributes["tags"]] == ["Fantasy"]
    names = [
        r["attributes"]["name"] for r in title["relationships"] if r["type"] in ("author", "artist")
    ]
    assert names == ["Ito Nagare", "Ito Nagare"]
    assert asker.json(f"/manga?status[]=hiatus&originalLanguage[]=ko&ids[]={added}")["total"] == 1


def test_an_edit_moves_version_and_updated_at_and_the_order(asker: Asker) -> None:
    title = asker.sim.title_ids(3, 1)[0]
    before = asker.json(f"/manga/{title}")["data"]["attributes"]
    asker.sim.edit_title(3, title="Renamed", status="cancelled", absent=["isLocked"])
    after = asker.json(f"/manga/{title}")["data"]["attributes"]
    assert after["version"] == before["version"] + 1
    assert after["updatedAt"] > before["updatedAt"]
    assert after["createdAt"] == before["createdAt"]
    assert after["title"] == {"en": "Renamed"} and after["status"] == "cancelled"
    assert "isLocked" not in after
    page = asker.json(f"/manga?{ALL}&order[updatedAt]=desc&status[]=cancelled")
    assert page["data"][0]["id"] == title


def test_an_edit_may_name_version_date_and_cover(asker: Asker) -> None:
    def cover() -> str:
        references = asker.json(f"/manga/{title}?includes[]=cover_art")["data"]["relationships"]
        return str(
            next(r["attributes"]["fileName"] for r in references if r["type"] == "cover_art")
        )

    title = asker.sim.title_ids(3, 1)[0]
    first = cover()
    asker.sim.edit_title(title, version=77, updatedAt="2025-06-15T21:46:40", cover=True)
    attributes = asker.json(f"/manga/{title}")["data"]["attributes"]
    assert (attributes["version"], attributes["updatedAt"]) == (77, "2025-06-15T21:46:40+00:00")
    assert cover() != first


def test_a_rating_edit_moves_a_title_out_of_the_default_list(asker: Asker) -> None:
    title = asker.json("/manga?limit=1")["data"][0]["id"]
    asker.sim.edit_title(title, contentRating="pornographic")
    assert asker.json(f"/manga?ids[]={title}")["data"] == []
    assert asker.json(f"/manga?ids[]={title}&{ALL}")["total"] == 1


def test_the_latest_uploaded_chapter_follows_publication_and_removal(asker: Asker) -> None:
    title = asker.sim.title_ids(3, 1)[0]

    def latest() -> object:
        return asker.json(f"/manga/{title}")["data"]["attributes"]["latestUploadedChapter"]

    first = latest()
    chapter = asker.sim.publish(title, number="900", language="uk")
    attributes = asker.json(f"/manga/{title}")["data"]["attributes"]
    assert attributes["latestUploadedChapter"] == chapter
    assert "uk" in attributes["availableTranslatedLanguages"]
    assert asker.json(f"/manga?limit=1&{ALL}")["data"][0]["id"] == title
    asker.sim.remove_chapter(chapter)
    assert latest() == first


def test_updated_at_of_a_title_does_not_move_with_its_chapters(asker: Asker) -> None:
    title = asker.sim.title_ids(3, 1)[0]
    before = asker.json(f"/manga/{title}")["data"]["attributes"]
    asker.sim.publish(title)
    after = asker.json(f"/manga/{title}")["data"]["attributes"]
    assert (after["updatedAt"], after["version"]) == (before["updatedAt"], before["version"])


FILTERS: dict[str, tuple[str, Callable[[Json], bool]]] = {
    "status": (
        "status[]=completed&status[]=hiatus",
        lambda a: a["status"] in ("completed", "hiatus"),
    ),
    "original language": ("originalLanguage[]=ko", lambda a: a["originalLanguage"] == "ko"),
    "other original languages": (
        "excludedOriginalLanguage[]=ja",
        lambda a: a["originalLanguage"] != "ja",
    ),
    "translated language": (
        "availableTranslatedLanguage[]=pt-br",
        lambda a: "pt-br" in a["availableTranslatedLanguages"],
    ),
    "demographic": (
        "publicationDemographic[]=josei&publicationDemographic[]=none",
        lambda a: a["publicationDemographic"] in ("josei", None),
    ),
    "rating": ("contentRating[]=suggestive", lambda a: a["contentRating"] == "suggestive"),
    "no year": ("year=none", lambda a: a["year"] is None),
    "words": (
        "title=THE%20of",
        lambda a: all(word in str([a["title"], a["altTitles"]]).lower() for word in ("the", "of")),
    ),
    "with chapters": ("hasAvailableChapters=1", lambda a: a["latestUploadedChapter"] is not None),
    "without chapters": (
        "hasAvailableChapters=false",
        lambda a: a["latestUploadedChapter"] is None,
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_keeps_exactly_what_fits(name: str, make_sim: Make) -> None:
    asker = make_sim(titles=120)
    query, fits = FILTERS[name]
    default = [m for m in walk(asker, "/manga?order[createdAt]=asc", 100)]
    if name == "rating":
        default = walk(asker, f"/manga?{ALL}&order[createdAt]=asc", 100)
    found = walk(asker, f"/manga?{query}&order[createdAt]=asc", 100)
    assert found == [m for m in default if fits(m["attributes"])]
    assert found


def test_tags_and_authors_filter_by_id(make_sim: Make) -> None:
    asker = make_sim(titles=120)
    rows = walk(asker, "/manga?order[createdAt]=asc", 100)
    two = next(m for m in rows if len(m["attributes"]["tags"]) >= 2)["attributes"]["tags"][:2]
    first, second = two[0]["id"], two[1]["id"]

    def having(test: Callable[[set[str]], bool]) -> list[str]:
        return [m["id"] for m in rows if test({t["id"] for t in m["attributes"]["tags"]})]

    def found(query: str) -> list[str]:
        return [m["id"] for m in walk(asker, f"/manga?{query}&order[createdAt]=asc", 100)]

    both = f"includedTags[]={first}&includedTags[]={second}"
    assert found(both) == having(lambda t: {first, second} <= t)
    assert found(both + "&includedTagsMode=OR") == having(lambda t: bool({first, second} & t))
    assert found(f"excludedTags[]={first}") == having(lambda t: first not in t)
    author = rows[0]["relationships"][0]["id"]
    assert found(f"authors[]={author}") == [
        m["id"]
        for m in rows
        if any(r == {"id": author, "type": "author"} for r in m["relationships"])
    ]


def test_the_tag_list_is_whole(asker: Asker) -> None:
    tags = asker.json("/manga/tag")
    assert tags["total"] == len(tags["data"]) > 70
    assert {t["attributes"]["group"] for t in tags["data"]} == {
        "genre",
        "theme",
        "format",
        "content",
    }


def test_the_total_of_a_large_catalogue_is_not_capped(make_sim: Make) -> None:
    asker = make_sim(titles=20_000)
    assert asker.json(f"/manga?{ALL}&limit=100&offset=9900&order[createdAt]=asc")["total"] == 20_000


def test_a_window_of_creation_dates_reaches_beyond_ten_thousand(make_sim: Make) -> None:
    """What a client must do: restart a second before the last creation date seen."""
    asker = make_sim(titles=10_200)
    query = f"/manga?{ALL}&order[createdAt]=asc"
    last = asker.json(f"{query}&limit=100&offset=9900")["data"][-1]
    back = datetime.fromisoformat(last["attributes"]["createdAt"]) - timedelta(seconds=1)
    rest = [m["id"] for m in walk(asker, f"{query}&createdAtSince={back:%Y-%m-%dT%H:%M:%S}", 100)]
    position = rest.index(last["id"])
    assert rest[position + 1 :] == asker.sim.title_ids(10_000, 200)


def test_control_over_http_does_the_same(asker: Asker) -> None:
    control = SimControl(asker.sim.url)
    title = control.add_title(title="By Post")
    assert asker.json(f"/manga/{title}")["data"]["attributes"]["title"] == {"en": "By Post"}
