"""Answers and queries against the official description, where that lies beside the project."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import yaml
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from openapi_core.exceptions import OpenAPIError

from mangadex_sim.api.endpoints import (
    AGGREGATE,
    CHAPTER,
    CHAPTER_LIST,
    FEED,
    FOLLOWS,
    MANGA,
    MANGA_LIST,
    NOTHING,
    READING_STATUSES,
    STATISTICS,
)
from mangadex_sim.api.query import Rule
from tests.mangadex_sim.api.test_manga import ALL
from tests.mangadex_sim.conftest import Asker
from tests.support.paths import SHARED

Make = Callable[..., Asker]
Json = dict[str, Any]

DESCRIPTION = SHARED / "openapi.yaml"

pytestmark = pytest.mark.skipif(
    not DESCRIPTION.is_file(), reason="the official description does not lie beside the project"
)

PATHS: dict[str, dict[str, Rule]] = {
    "/manga": MANGA_LIST,
    "/manga/{id}": MANGA,
    "/manga/{id}/feed": FEED,
    "/manga/{id}/aggregate": AGGREGATE,
    "/chapter": CHAPTER_LIST,
    "/chapter/{id}": CHAPTER,
    "/manga/tag": {},
    "/statistics/manga": STATISTICS,
    "/manga/status": READING_STATUSES,
    "/user/follows/manga": FOLLOWS,
    "/list/{id}": NOTHING,
    "/ping": {},
}


@functools.cache
def load() -> Json:
    """Return the description of our endpoints, without the faults that real answers trip over."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: Json = yaml.load(DESCRIPTION.read_text(), loader)
    document["servers"] = [{"url": "http://127.0.0.1"}]
    document.pop("security", None)  # everything here is public
    document["paths"] = {
        path: {
            key: value
            for key, value in document["paths"][path].items()
            if key in ("get", "parameters")
        }
        for path in PATHS
    }
    for path in PATHS:
        document["paths"][path]["get"].pop("security", None)
        patch_parameters(document["paths"][path]["get"])
    patch_schemas(document["components"]["schemas"])
    volumes = schema_of(document, "/manga/{id}/aggregate")["properties"]["volumes"]
    chapters = volumes["additionalProperties"]["properties"]["chapters"]
    for each in (volumes, chapters):  # PHP's lists
        inner = dict(each)
        each.clear()
        each["anyOf"] = [inner, {"type": "array", "items": inner["additionalProperties"]}]
    return document


def schema_of(document: Json, path: str) -> Json:
    answer: Json = document["paths"][path]["get"]["responses"]["200"]
    schema: Json = answer["content"]["application/json"]["schema"]
    return schema


def patch_parameters(operation: Json) -> None:
    """Take out repeated parameters, patterns of integers, and the name that nobody uses."""
    unique: dict[str, Json] = {}
    for parameter in operation.get("parameters", []):
        unique.setdefault(parameter["name"], parameter)
    operation["parameters"] = list(unique.values())
    for parameter in unique.values():
        for schema in [parameter["schema"], *parameter["schema"].get("oneOf", [])]:
            if schema.get("type") == "integer":
                schema.pop("pattern", None)
        if parameter["name"] == "includes":
            parameter["name"] = "includes[]"
        if parameter["name"] == "manga[]":
            parameter.pop("style")  # it is a plain list
        if parameter.get("style") == "deepObject":
            parameter["explode"] = True


def patch_schemas(schemas: Json) -> None:
    schemas["LocalizedString"] = {
        "anyOf": [
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "array", "maxItems": 0, "items": {}},
        ]
    }
    manga = schemas["MangaAttributes"]["properties"]
    manga["links"] = {
        "anyOf": [
            {**manga["links"], "nullable": True},
            {"type": "array", "maxItems": 0, "items": {}},
        ]
    }
    manga["publicationDemographic"]["enum"].append(None)
    manga["latestUploadedChapter"]["nullable"] = True
    manga["availableTranslatedLanguages"]["items"]["nullable"] = True
    schemas["ScanlationGroupAttributes"]["properties"]["publishDelay"]["nullable"] = True
    close(schemas)


def close(schemas: Json) -> None:
    """Allow no key that the description does not know, so that an invented one is found."""
    for name in (
        "Manga",
        "MangaAttributes",
        "MangaList",
        "MangaResponse",
        "Chapter",
        "ChapterAttributes",
        "ChapterList",
        "ChapterResponse",
        "Tag",
        "TagAttributes",
        "TagResponse",
        "Relationship",
        "Error",
        "ErrorResponse",
    ):
        schemas[name]["additionalProperties"] = False


@functools.cache
def checker() -> OpenAPI:
    return OpenAPI.from_dict(load())


def explain(error: OpenAPIError) -> list[str]:
    """Return where in the document which rule is broken, without the document."""
    found = getattr(error.__cause__, "schema_errors", None) or [error]
    return [f"{getattr(each, 'json_path', '')} {str(each)[:200]}" for each in found]


class Checked:
    """Asks, and has request and answer validated."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def get(self, target: str) -> requests.Response:
        """Return the answer of a request that is valid, as is its answer."""
        self.check_request(target)
        response = self._asker.get(target)
        return self.check_response(response)

    def check_request(self, target: str) -> None:
        """Raise OpenAPIError for a query that the description does not allow."""
        checker().validate_request(
            self._described(requests.Request("GET", self._asker.sim.url + target))
        )

    def check_response(self, response: requests.Response) -> requests.Response:
        """Fail, in few words, for an answer that is not as described."""
        request = self._described(requests.Request("GET", response.request.url))
        try:
            checker().validate_response(request, RequestsOpenAPIResponse(response))
        except OpenAPIError as error:
            pytest.fail("; ".join(explain(error))[:2_000])
        return response

    def _described(self, request: requests.Request) -> RequestsOpenAPIRequest:
        request.url = str(request.url).replace(self._asker.sim.url, "http://127.0.0.1")
        return RequestsOpenAPIRequest(request)


@pytest.fixture
def checked(make_sim: Make) -> Iterator[tuple[Checked, Asker]]:
    """A catalogue that shows every awkward case, and its validator."""
    asker = make_sim(titles=150, recent_chapters=5)
    yield Checked(asker), asker


MANGA_INCLUDES = "&".join(
    f"includes[]={each}" for each in ("manga", "cover_art", "author", "artist", "tag", "creator")
)
CHAPTER_INCLUDES = "includes[]=manga&includes[]=scanlation_group&includes[]=user"


def test_all_titles_are_as_described(checked: tuple[Checked, Asker]) -> None:
    check, _ = checked
    for offset in (0, 100):
        query = f"/manga?limit=100&offset={offset}&{ALL}&order[createdAt]=asc&{MANGA_INCLUDES}"
        assert check.get(query).json()["total"] == 150


def test_single_titles_and_their_chapters_are_as_described(checked: tuple[Checked, Asker]) -> None:
    check, asker = checked
    for title in asker.sim.title_ids(0, 150)[::13]:
        assert check.get(f"/manga/{title}?{MANGA_INCLUDES}").status_code == 200
        check.get(f"/manga/{title}/feed?limit=20&{ALL}&includeUnavailable=1&{CHAPTER_INCLUDES}")
        check.get(f"/manga/{title}/aggregate?includeUnavailable=1")


def test_chapters_are_as_described(checked: tuple[Checked, Asker]) -> None:
    check, _ = checked
    page = check.get(f"/chapter?limit=100&order[readableAt]=desc&{ALL}&{CHAPTER_INCLUDES}").json()
    for row in page["data"][:5]:
        assert check.get(f"/chapter/{row['id']}?{CHAPTER_INCLUDES}").json()["data"] == row


def test_the_rest_is_as_described(checked: tuple[Checked, Asker]) -> None:
    check, asker = checked
    check.get("/manga/tag")
    check.get("/ping")
    query = "&".join(f"manga[]={each}" for each in asker.sim.title_ids(0, 20))
    check.get(f"/statistics/manga?{query}")


@pytest.mark.parametrize(
    "target",
    [
        "/manga?limit=101",
        "/manga?foo=1",
        "/chapter?offset=10000",
        "/manga/7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "/chapter/7c9e6679-7425-40de-944b-e07fc1f90ae7",
    ],
)
def test_errors_are_as_described(target: str, checked: tuple[Checked, Asker]) -> None:
    check, asker = checked
    assert check.check_response(asker.get(target)).status_code in (400, 404)


@pytest.mark.parametrize("path", PATHS)
def test_the_closed_schema_has_exactly_the_described_parameters(path: str) -> None:
    described = {
        parameter["name"].removesuffix("[]")
        for parameter in load()["paths"][path]["get"].get("parameters", [])
    }
    assert set(PATHS[path]) == described


def test_orders_are_exactly_the_described_ones(asker: Asker) -> None:
    for path in ("/manga", "/chapter"):
        parameters = load()["paths"][path]["get"]["parameters"]
        fields = next(p for p in parameters if p["name"] == "order")["schema"]["properties"]
        assert all(
            asker.get(f"{path}?limit=1&order[{field}]=asc").status_code == 200 for field in fields
        )


@pytest.mark.parametrize(
    "target",
    [
        "/manga?limit=101",
        "/manga?createdAtSince=2025-01-01T00:00:00Z",
        "/manga?status[]=paused",
        "/chapter?includeFutureUpdates=2",
        "/manga?contentRating[]=nsfw",
        "/chapter?manga=abc",
        "/manga/7c9e6679-7425-40de-944b-e07fc1f90ae7/feed?limit=0",
    ],
)
def test_what_the_description_refuses_is_refused_here(
    target: str, checked: tuple[Checked, Asker]
) -> None:
    check, asker = checked
    with pytest.raises(OpenAPIError):
        check.check_request(target)
    assert asker.get(target).status_code == 400
