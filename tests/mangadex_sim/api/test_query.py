"""The closed query schema, asked over HTTP."""

from __future__ import annotations

import pytest

from mangadex_sim.api.query import parse_php
from tests.mangadex_sim.conftest import Asker

SOME = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
IDS_101 = "&".join(f"ids[]=7c9e6679-7425-40de-944b-{n:012x}" for n in range(101))


REFUSED = {
    "an unknown parameter": ("/manga?foo=1", "The property foo is not defined"),
    "a parameter of another endpoint": (
        "/manga?publishAtSince=2025-01-01T00:00:00",
        "publishAtSince is not defined",
    ),
    "a list of mangas": ("/chapter?manga[]=" + SOME, "[manga]"),
    "a plural": (
        "/chapter?chapters=1",
        "The property chapters is not defined and the definition"
        " does not allow additional properties",
    ),
    "any parameter of the tag list": ("/manga/tag?limit=5", "limit is not defined"),
    "an includes of the wrong kind": (f"/manga/{SOME}?includes[]=user", "[includes]"),
    "a limit for one manga": (f"/manga/{SOME}?limit=1", "limit is not defined"),
    "limit 101 of titles": ("/manga?limit=101", "maximum value of 100"),
    "limit 101 of chapters": ("/chapter?limit=101", "maximum value of 100"),
    "limit 501 of a feed": (f"/manga/{SOME}/feed?limit=501", "maximum value of 500"),
    "limit 0 of a feed": (f"/manga/{SOME}/feed?limit=0", "minimum value of 1"),
    "a negative limit": ("/manga?limit=-1", "minimum value of 0"),
    "a negative offset": ("/manga?offset=-1", "minimum value of 0"),
    "a limit in words": ("/manga?limit=ten", "integer is required"),
    "an empty limit": ("/manga?limit=", "integer is required"),
    "a limit as a list": ("/manga?limit[]=1", "integer is required"),
    "a limit in Arabic digits": ("/manga?limit=%D9%A1", "integer is required"),
    "a date with Z": ("/manga?createdAtSince=2025-01-01T00:00:00Z", "Does not match the format"),
    "a date with an offset": ("/manga?createdAtSince=2025-01-01T00:00:00%2B00:00", "format"),
    "a date with a fraction": ("/manga?createdAtSince=2025-01-01T00:00:00.5", "format"),
    "a date alone": ("/manga?createdAtSince=2025-01-01", "format"),
    "a date with a blank": ("/manga?updatedAtSince=2025-01-01%2000:00:00", "format"),
    "an impossible date": ("/manga?createdAtSince=2025-02-31T00:00:00", "Invalid date"),
    "month 19": ("/manga?createdAtSince=2025-19-01T00:00:00", "Invalid date"),
    "an unknown order": ("/manga?order[readableAt]=desc", "readableAt is not defined"),
    "an order of titles for chapters": ("/chapter?order[followedCount]=desc", "followedCount"),
    "an unknown direction": ("/manga?order[createdAt]=down", "[order]"),
    "an order as text": ("/manga?order=createdAt", "object is required"),
    "an unknown rating": ("/manga?contentRating[]=nsfw", "enumeration"),
    "a rating as text": ("/manga?contentRating=safe", "array is required"),
    "an unknown status": ("/manga?status[]=paused", "enumeration"),
    "a malformed id": ("/manga?ids[]=abc", "Invalid uuid"),
    "an empty id": ("/manga?ids[]=", "Invalid uuid"),
    "101 ids": ("/manga?" + IDS_101, "maximum of 100 items"),
    "a long language": ("/chapter?translatedLanguage[]=english", "regex"),
    "a flag of words": ("/chapter?includeFutureUpdates=yes", "enumeration"),
    "a host without a manga": ("/chapter?externalUrl=reader.example", "accompanying manga"),
    "an odd host": (f"/manga/{SOME}/feed?externalUrl=a/b", "regex"),
    "a year of words": ("/manga?year=soon", "[year]"),
    "statistics of nothing": ("/statistics/manga", "manga is required"),
    "beyond the window": (
        "/manga?limit=100&offset=9901",
        "Result window is too large, from + size must be less than or equal to:"
        " [10000] but was [10001]",
    ),
    "beyond the window of a feed": (f"/manga/{SOME}/feed?offset=10000", "but was [10100]"),
    "beyond the window of chapters": ("/chapter?offset=9995", "but was [10005]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses(case: str, asker: Asker) -> None:
    target, words = REFUSED[case]
    assert words in asker.detail(target)


ALL_RATINGS = "&".join(
    f"contentRating[]={each}" for each in ("safe", "suggestive", "erotica", "pornographic")
)
TAKEN = {
    "nothing": "/manga",
    "limit 0": "/manga?limit=0",
    "limit 100": "/manga?limit=100",
    "the last page": "/manga?limit=100&offset=9900",
    "the last page of a feed": f"/manga/{SOME}/feed?limit=500&offset=9500",
    "encoded brackets": "/manga?contentRating%5B%5D=safe&order%5BcreatedAt%5D=asc",
    "numbered items": "/manga?contentRating[0]=safe&contentRating[1]=erotica",
    "all ratings": "/manga?" + ALL_RATINGS,
    "includes without brackets": "/chapter?includes=manga",
    "includes": "/manga?includes[]=manga&includes[]=cover_art&includes[]=author&includes[]=artist"
    "&includes[]=tag&includes[]=creator",
    "a date": "/manga?createdAtSince=2025-01-01T23:59:59&updatedAtSince=2018-01-01T00:00:00",
    "everything of a title list": "/manga?title=the&authorOrArtist="
    + SOME
    + "&authors[]="
    + SOME
    + "&artists[]="
    + SOME
    + "&year=2020&includedTags[]="
    + SOME
    + "&includedTagsMode=OR&excludedTags[]="
    + SOME
    + "&excludedTagsMode=AND&status[]=ongoing&originalLanguage[]=ja"
    "&excludedOriginalLanguage[]=ko&availableTranslatedLanguage[]=en"
    "&publicationDemographic[]=none&hasAvailableChapters=true&hasUnavailableChapters=0"
    "&group=" + SOME + "&order[title]=asc&order[year]=desc",
    "a year": "/manga?year=none",
    "the other orders": "/manga?order[relevance]=desc&order[rating]=asc&order[followedCount]=desc",
    "everything of a chapter list": "/chapter?ids[]="
    + SOME
    + "&title=a&groups[]="
    + SOME
    + "&uploader="
    + SOME
    + "&uploader[]="
    + SOME
    + "&manga="
    + SOME
    + "&volume[]=1&chapter=2&chapter[]=3"
    "&translatedLanguage[]=pt-br&originalLanguage[]=ja&excludedOriginalLanguage[]=zh"
    "&excludedGroups[]="
    + SOME
    + "&excludedUploaders[]="
    + SOME
    + "&includeFutureUpdates=0&includeEmptyPages=0&includeFuturePublishAt=0"
    "&includeExternalUrl=1&externalUrl=a.example&excludeExternalUrl=b.example"
    "&includeUnavailable=1&createdAtSince=2020-01-01T00:00:00"
    "&updatedAtSince=2020-01-01T00:00:00&publishAtSince=2020-01-01T00:00:00"
    "&order[chapter]=asc&order[volume]=desc",
    "everything of an aggregate": f"/manga/{SOME}/aggregate?translatedLanguage[]=en&groups[]={SOME}"
    "&includeUnavailable=1",
    "statistics": f"/statistics/manga?manga[]={SOME}",
    "the tags": "/manga/tag",
}


@pytest.mark.parametrize("case", TAKEN)
def test_it_takes(case: str, asker: Asker) -> None:
    assert asker.json(TAKEN[case])["result"] == "ok"


def test_an_error_has_the_apis_envelope(asker: Asker) -> None:
    body = asker.get("/manga?foo=1").json()
    assert body["result"] == "error"
    assert set(body["errors"][0]) == {"id", "status", "title", "detail", "context"}
    assert body["errors"][0]["status"] == 400


PHP: dict[str, tuple[str, object]] = {
    "the last of equal names": ("a=1&a=2", {"a": "2"}),
    "a list": ("a[]=1&a[]=2", {"a": ["1", "2"]}),
    "a numbered list": ("a[3]=x&a[7]=y", {"a": ["x", "y"]}),
    "a map": ("o[b]=asc&o[c]=desc", {"o": {"b": "asc", "c": "desc"}}),
    "a list after a text": ("a=1&a[]=2", {"a": ["2"]}),
    "encoded names": ("a%5B%5D=%20", {"a": [" "]}),
    "an empty value": ("a=", {"a": ""}),
    "a name without a value": ("a", {"a": ""}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize("case", PHP)
def test_a_query_is_read_as_php_reads_it(case: str) -> None:
    text, expected = PHP[case]
    assert parse_php(text) == expected
