"""What an HTTP answer means: by status and content type, whatever stands in the body."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.errors import Banned, BatchError, RateLimited, RequestRefused, SourceDown, TransientError
from batch.mangadex.responses import Response, body_of, entity_of, page_of
from batch.models import Page
from mangahub.retry_after import http_date, retry_after
from tests.support.paths import SHARED

ANSWERS = SHARED / "answers"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
OVERLOAD = b"<html><p>Your browser sent an invalid request.</p></html>"


def answer(status: int, body: bytes = b"{}", kind: str = JSON, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response("GET /manga?limit=100", status, {"Content-Type": kind} | named, body)


@pytest.mark.parametrize(
    ("status", "body", "kind", "error"),
    [
        pytest.param(400, b"{}", JSON, RequestRefused, id="400-json"),
        pytest.param(400, b"You must set an agent", "text/plain", RequestRefused, id="400-agent"),
        pytest.param(400, OVERLOAD, HTML, RateLimited, id="400-overload"),
        pytest.param(403, b"{}", JSON, RequestRefused, id="403-json"),
        pytest.param(403, b"", HTML, Banned, id="403-html"),
        pytest.param(403, b"", "", Banned, id="403-untyped"),
        pytest.param(404, b"{}", JSON, RequestRefused, id="404-json"),
        pytest.param(414, b"<html>", HTML, RequestRefused, id="414"),
        pytest.param(408, b"", HTML, TransientError, id="408"),
        pytest.param(425, b"", HTML, TransientError, id="425"),
        pytest.param(429, b"{}", JSON, RateLimited, id="429-json"),
        pytest.param(429, b"<html>", HTML, RateLimited, id="429-html"),
        pytest.param(500, b"{}", JSON, TransientError, id="500"),
        pytest.param(502, b"<html>", HTML, TransientError, id="502"),
        pytest.param(599, b"", "", TransientError, id="599"),
        pytest.param(301, b"", "", RequestRefused, id="301"),
        pytest.param(302, b"", HTML, RequestRefused, id="302"),
        pytest.param(304, b"", "", RequestRefused, id="304"),
        pytest.param(206, b"{", JSON, RequestRefused, id="206"),
        pytest.param(200, b"", JSON, TransientError, id="200-empty"),
        pytest.param(200, b"<html>", HTML, TransientError, id="200-html"),
        pytest.param(200, b"[]", JSON, TransientError, id="200-list"),
        pytest.param(200, b"null", JSON, TransientError, id="200-null"),
        pytest.param(200, b'{"data":[', JSON, TransientError, id="200-cut"),
        pytest.param(200, b"\xff\xfe\xfd", JSON, TransientError, id="200-bytes"),
        pytest.param(200, b"[" * 100_000, JSON, TransientError, id="200-nested"),
        pytest.param(
            200, b'{"total":' + b"9" * 5_000 + b"}", JSON, TransientError, id="200-digits"
        ),
    ],
)
def test_each_kind_of_answer_calls_for_its_reaction(
    status: int, body: bytes, kind: str, error: type[BatchError]
) -> None:
    with pytest.raises(BatchError) as caught:
        body_of(answer(status, body, kind))
    assert type(caught.value) is error
    assert str(caught.value).isprintable()
    assert "GET /manga?limit=100" in str(caught.value)


def test_a_ban_ends_the_run_and_is_not_repeated() -> None:
    assert issubclass(Banned, SourceDown)
    assert not issubclass(Banned, TransientError)


@pytest.mark.parametrize(
    ("kind", "by_api"), [(JSON, True), ("application/problem+json", True), (HTML, False)]
)
def test_a_refusal_tells_whether_the_api_itself_said_so(kind: str, by_api: bool) -> None:
    with pytest.raises(RequestRefused) as caught:
        body_of(answer(404, b"", kind))
    assert (caught.value.status, caught.value.by_api) == (404, by_api)


def test_204_is_an_empty_list_and_no_entity() -> None:
    assert body_of(answer(204, b"")) is None
    assert page_of(None, 300) == Page([], 300, 300)
    with pytest.raises(TransientError):
        entity_of(None)


def test_a_good_answer_is_its_json_also_with_a_wrong_content_type() -> None:
    assert body_of(answer(200, b'{"result":"ok"}', HTML)) == {"result": "ok"}


# --- messages ----------------------------------------------------------------------------------


def test_a_message_names_status_type_request_id_and_the_bodys_first_words() -> None:
    refused = answer(400, b'{"detail":\r\n  "no"}', X_Request_ID="abc-1")
    with pytest.raises(RequestRefused) as caught:
        body_of(refused)
    assert str(caught.value) == (
        "GET /manga?limit=100 was answered with 400, application/json (request id abc-1):"
        ' {"detail": "no"}'
    )


def test_a_message_says_where_a_redirect_points() -> None:
    with pytest.raises(RequestRefused, match=r"it points to https://elsewhere\.example/x"):
        body_of(answer(301, b"", Location="https://elsewhere.example/x"))


def test_nothing_that_the_source_says_breaks_the_line_or_steers_the_terminal() -> None:
    nasty = "a\r\n b\x1b[31m\u2028\U0001f9c2" + "x" * 10_000
    trouble = answer(500, nasty.encode(), nasty, X_Request_ID=nasty, Location=nasty)
    with pytest.raises(TransientError) as caught:
        body_of(trouble)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


# --- envelopes ---------------------------------------------------------------------------------


def test_a_page_keeps_its_objects_and_makes_everything_else_an_empty_one() -> None:
    page = page_of({"data": [{"id": "1"}, None, "x", []], "total": 90_000}, 100)
    assert page == Page([{"id": "1"}, {}, {}, {}], 90_000, 100)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None, "total": 1},
        {"data": {}, "total": 1},
        {"data": []},
        {"data": [], "total": None},
        {"data": [], "total": "1"},
        {"data": [], "total": 1.0},
        {"data": [], "total": float("nan")},
        {"data": [], "total": True},
        {"data": [], "total": -1},
        {"data": [], "total": 2**31},
        {"data": [], "total": 10**4_000},
        {"\n\x1b": 1, "data": 3},
        {"result": "error", "data": [], "total": 0},
        {"result": None, "data": [], "total": 0},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_list_without_data_and_a_plausible_total_is_an_error(body: dict[str, object]) -> None:
    with pytest.raises(TransientError) as caught:
        page_of(body, 0)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_an_answer_without_an_entity_is_an_error(data: object) -> None:
    with pytest.raises(TransientError):
        entity_of({"data": data})


def test_an_entity_is_what_stands_in_data() -> None:
    assert entity_of({"data": {"id": "1"}}) == {"id": "1"}


# --- when to come back -------------------------------------------------------------------------

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
IN_A_MINUTE = format_datetime(NOW + timedelta(minutes=1), usegmt=True)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing-said"),
        pytest.param({"X-RateLimit-Retry-After": str(EPOCH + 9)}, 10, id="epoch"),
        pytest.param({"X-RateLimit-Retry-After": str(EPOCH)}, 1, id="epoch-now"),
        pytest.param({"X-RateLimit-Retry-After": str(EPOCH - 500)}, 0, id="epoch-past"),
        pytest.param({"X-RateLimit-Retry-After": "0"}, 0, id="epoch-zero"),
        pytest.param({"X-RateLimit-Retry-After": f"{EPOCH}.5"}, 1.5, id="epoch-fraction"),
        pytest.param({"Retry-After": "9" * 11}, 10**11 - 1, id="seconds-far"),
        pytest.param({"X-RateLimit-Retry-After": "9" * 12}, 10**12 - EPOCH, id="epoch-far"),
        pytest.param({"X-RateLimit-Retry-After": "9" * 400}, None, id="epoch-huge"),
        pytest.param({"X-RateLimit-Retry-After": "soon"}, None, id="epoch-garbage"),
        pytest.param({"X-RateLimit-Retry-After": "", "Retry-After": "3"}, 3, id="epoch-empty"),
        pytest.param({"X-RateLimit-Retry-After": "nan", "Retry-After": "3"}, 3, id="epoch-nan"),
        pytest.param(
            {"X-RateLimit-Retry-After": str(EPOCH + 9), "Retry-After": "99"}, 10, id="epoch-first"
        ),
        pytest.param({"Retry-After": "120"}, 120, id="seconds"),
        pytest.param({"Retry-After": " 7 "}, 7, id="seconds-with-blanks"),
        pytest.param({"Retry-After": "0"}, 0, id="zero"),
        pytest.param({"Retry-After": "-5"}, None, id="negative"),
        pytest.param({"Retry-After": "1.5"}, None, id="fraction"),
        pytest.param({"Retry-After": "9" * 30}, None, id="huge"),
        pytest.param({"Retry-After": IN_A_MINUTE}, 60, id="date"),
        pytest.param({"Retry-After": "Sun, 01 Mar 2020 12:00:00 GMT"}, 0, id="date-past"),
        pytest.param({"Retry-After": "Mon, 99 Foo 2020 99:00:00 GMT"}, None, id="date-garbage"),
        pytest.param({"Retry-After": "１"}, None, id="other-digits"),
    ],
)
def test_the_server_says_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    told = retry_after(headers | {"Date": format_datetime(NOW, usegmt=True)})
    assert told == (None if seconds is None else timedelta(seconds=seconds))


def test_without_a_date_the_own_clock_counts() -> None:
    epoch = int(datetime.now(UTC).timestamp()) + 30
    told = retry_after({"X-RateLimit-Retry-After": str(epoch), "Date": "garbage"})
    assert told is not None
    assert timedelta(seconds=25) < told <= timedelta(seconds=31)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Sun, 01 Mar 2026 12:00:00 GMT", NOW),
        ("Sun, 01 Mar 2026 14:00:00 +0200", NOW),
        ("Sun, 01 Mar 2026 12:00:00 -0000", NOW),
        ("Sun, 01 Mar 2026 12:00:00", NOW),
        ("", None),
        ("Sun, 01 Mar 99999 12:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_a_date_header_is_read_as_utc(text: str, moment: datetime | None) -> None:
    assert http_date(text) == moment


# --- anything ----------------------------------------------------------------------------------

header_text = st.text(st.characters(max_codepoint=255), max_size=40) | st.from_regex(
    r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d{2}(:\d{2})? ([+-]\d{1,8}|[A-Z]{3})"
)
headers = st.dictionaries(
    st.sampled_from(["Date", "Retry-After", "X-RateLimit-Retry-After", "Content-Type", "Location"]),
    header_text,
)


@given(headers)
def test_no_header_breaks_the_reading_of_a_retry_time(given_headers: dict[str, str]) -> None:
    told = retry_after(given_headers)
    assert told is None or told >= timedelta(0)


@given(st.integers(200, 599), headers, st.binary(max_size=80))
def test_no_answer_raises_anything_but_the_errors_that_are_named(
    status: int, given_headers: dict[str, str], body: bytes
) -> None:
    try:
        read = body_of(Response("GET /manga", status, given_headers, body))
    except BatchError as exc:
        assert str(exc).isprintable()
    else:
        assert read is None or isinstance(read, dict)


json_text = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "total", "id", "\n"]), inner)
    ),
    max_leaves=8,
).map(json.dumps)


@given(json_text)
def test_any_json_is_a_page_or_an_error(text: str) -> None:
    for read in (lambda body: page_of(body, 0), entity_of):
        try:
            read(body_of(answer(200, text.encode())))
        except TransientError as exc:
            assert str(exc).isprintable()


# --- recorded answers --------------------------------------------------------------------------


@pytest.fixture
def recorded() -> Path:
    if not ANSWERS.is_dir():
        pytest.skip("recorded answers are not here")
    return ANSWERS


@pytest.mark.parametrize("kind", ["search_3", "id_feed"])
def test_recorded_lists_are_pages(recorded: Path, kind: str) -> None:
    [path] = recorded.glob(f"GET_manga_*{kind}*.json")
    document: dict[str, Any] = json.loads(path.read_bytes())
    page = page_of(body_of(answer(200, path.read_bytes())), document["offset"])
    assert page.total == document["total"]
    assert page.entities == document["data"]


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [
        ("400_html__under-load", HTML, RateLimited),
        ("400_text-plain__missing-or-unacceptable-user-agent", "text/plain", RequestRefused),
        ("400_message__unknown-query-parameter", JSON, RequestRefused),
        ("400_message__result-window-too-large", JSON, RequestRefused),
    ],
)
def test_recorded_refusals_differ_from_overload(
    recorded: Path, name: str, kind: str, error: type[BatchError]
) -> None:
    [path] = recorded.glob(f"{name}*")
    with pytest.raises(BatchError) as caught:
        body_of(answer(400, path.read_bytes(), kind))
    assert type(caught.value) is error
