"""The API client: legal requests, the right reaction to each failure, and shared pauses."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import pytest
import requests
from pytest_mock import MockerFixture

import sql
from batch.config import CONTENT_RATINGS, ORDER_KEYS
from batch.errors import Banned, RequestRefused, SourceDown, Stopped
from batch.limits.gate import Gate
from batch.limits.permit import Permits
from batch.mangadex import client as module
from batch.mangadex import paging
from batch.mangadex.client import MangaDex
from batch.mangadex.http import Session
from mangadex_sim import Simulator
from sql.budget import MAX_FAILURES, Budget, Pace
from tests.support.raw_server import RawServer, answering

Open = Callable[..., MangaDex]


class Waits:
    """Waits as a run does, keeps what it was asked for, and may be stopped."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.patience_s = math.inf

    def check(self) -> None:
        return None

    def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if seconds > self.patience_s:
            raise Stopped(15)
        time.sleep(min(seconds, 2))


@pytest.fixture
def waits() -> Waits:
    return Waits()


def budget_of(connection: sql.Connection, url: str) -> Budget:
    return Budget(lambda: connection, url, Pace(500))


@pytest.fixture
def open_client(
    waits: Waits, connection: sql.Connection, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """`open_client(url)`: a client that loses no time; all share the budget."""
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(module, "DEFAULT_PAUSE", timedelta(seconds=0.2))
    with ExitStack() as stack:

        def start(url: str) -> MangaDex:
            permits = Permits(Gate(2, 500, 1), budget_of(connection, url), "test", waits)
            return stack.enter_context(closing(MangaDex(Session(url, None, permits), permits)))

        yield start


@pytest.fixture
def sim(simulator: Callable[..., Simulator]) -> Simulator:
    return simulator(titles=120, rate=0)


# --- requests ----------------------------------------------------------------------------------

TITLE = UUID("0d1e2f30-4152-4364-9586-a7b8c9dae0f1")
MOMENT = datetime(2025, 6, 15, 1, 46, 40, 999_999, timezone(timedelta(hours=5)))
REQUESTS: list[tuple[str, Callable[[MangaDex], object]]] = [
    ("list", lambda api: api.list_manga()),
    ("list-of-ids", lambda api: api.list_manga(ids=[uuid4() for _ in range(100)])),
    ("list-since", lambda api: api.list_manga(created_since=MOMENT)),
    ("list-at-the-ceiling", lambda api: api.list_manga(offset=9_900)),
    ("list-of-some-ratings", lambda api: api.list_manga(ratings=("safe", "suggestive"))),
    *(
        (f"list-by-{key}", lambda api, key=key: api.list_manga(order=(key, "desc")))
        for key in ORDER_KEYS
    ),
    ("title", lambda api: api.get_manga(TITLE)),
    ("feed", lambda api: api.list_feed(TITLE, languages=["en", "pt-br"])),
    ("feed-with-what-was-taken-down",
     lambda api: api.list_feed(TITLE, languages=["en"], include_unavailable=True)),
    ("feed-by-chapter",
     lambda api: api.list_feed(TITLE, languages=["en"], order=("chapter", "desc"), offset=500)),
    ("chapters", lambda api: api.list_chapters(languages=["en"], ratings=CONTENT_RATINGS)),
    ("chapters-in-order",
     lambda api: api.list_chapters(languages=["en", "fr"], ratings=["safe"], offset=9_900,
                                   order=("readableAt", "asc"))),
]  # fmt: skip


@pytest.fixture
def asked(sim: Simulator, open_client: Open) -> Callable[[Callable[[MangaDex], object]], str]:
    """Make a client ask, and return the target of its one request."""

    def ask(request: Callable[[MangaDex], object]) -> str:
        request(open_client(sim.url))
        report = sim.stats()
        assert report["total"] == 1
        assert set(report["by_status"]) <= {"200", "404"}
        [target] = report["queries"]
        return str(target)

    return ask


@pytest.mark.parametrize("request_of", [r for _, r in REQUESTS], ids=[name for name, _ in REQUESTS])
def test_every_request_is_what_the_description_allows(
    asked: Callable[[Callable[[MangaDex], object]], str], request_of: Callable[[MangaDex], object]
) -> None:
    described = pytest.importorskip("tests.mangadex_sim.api.test_openapi")
    if not described.DESCRIPTION.is_file():
        pytest.skip("the official description does not lie beside the project")
    target = asked(request_of)
    request = requests.Request("GET", f"http://127.0.0.1{target}")
    described.checker().validate_request(described.RequestsOpenAPIRequest(request))
    # The real API's schema is closed: a name it does not know makes a 400.
    path = "/" + "/".join(
        "{id}" if "-" in part else part for part in target[1:].split("?")[0].split("/")
    )
    operation = described.load()["paths"][path]["get"]
    known = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    for name, _ in parse_qsl(urlsplit(target).query):
        if name.startswith("order["):
            assert name[6:-1] in known["order"]["properties"]
        else:
            assert name in known


@pytest.mark.parametrize("request_of", [r for _, r in REQUESTS], ids=[name for name, _ in REQUESTS])
def test_every_list_names_order_limit_and_ratings_within_the_ceiling(
    asked: Callable[[Callable[[MangaDex], object]], str], request_of: Callable[[MangaDex], object]
) -> None:
    target = asked(request_of)
    pairs = parse_qsl(urlsplit(target).query)
    names = [name for name, _ in pairs]
    assert len(target) < 7_000
    if target.split("?")[0].endswith(str(TITLE)):
        return
    assert sum(name.startswith("order[") for name in names) == 1
    assert "contentRating[]" in names
    assert int(dict(pairs)["limit"]) + int(dict(pairs)["offset"]) <= paging.MAX_WINDOW
    assert names.count("ids[]") <= int(dict(pairs)["limit"])


def test_a_moment_is_sent_in_utc_without_zone_and_fraction(
    asked: Callable[[Callable[[MangaDex], object]], str],
) -> None:
    pairs = dict(parse_qsl(urlsplit(asked(lambda api: api.list_manga(created_since=MOMENT))).query))
    assert pairs["createdAtSince"] == "2025-06-14T20:46:40"


def test_look_ups_by_id_send_all_four_ratings(sim: Simulator, open_client: Open) -> None:
    hidden = UUID(sim.add_title(title="Under the Counter", contentRating="pornographic"))
    page = open_client(sim.url).list_manga(ids=[hidden])
    assert [entity["id"] for entity in page.entities] == [str(hidden)]


def test_a_page_tells_its_entities_total_and_offset(sim: Simulator, open_client: Open) -> None:
    page = open_client(sim.url).list_manga(offset=100)
    assert (len(page.entities), page.total, page.offset) == (20, 120, 100)


def test_a_feed_and_the_chapters_of_all_titles_are_lists_too(
    sim: Simulator, open_client: Open
) -> None:
    chapter = sim.publish(3, number="77", language="en")
    client = open_client(sim.url)
    title = UUID(sim.title_ids(3, 1)[0])
    feed = client.list_feed(title, languages=["en"])
    assert chapter in [entity["id"] for entity in feed.entities]
    newest = client.list_chapters(languages=["en"], ratings=CONTENT_RATINGS, limit=1)
    assert [entity["id"] for entity in newest.entities] == [chapter]


def test_a_title_that_is_gone_is_none(sim: Simulator, open_client: Open) -> None:
    client = open_client(sim.url)
    title = UUID(sim.title_ids(0, 1)[0])
    entity = client.get_manga(title)
    assert entity is not None and entity["id"] == str(title)
    sim.remove_title(str(title))
    assert client.get_manga(title) is None


def test_a_404_that_is_not_the_apis_own_is_no_deletion(
    serve: Callable[..., RawServer], open_client: Open
) -> None:
    page = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno"
    server = serve(answering(page))
    with pytest.raises(RequestRefused):
        open_client(server.url).get_manga(TITLE)


def test_204_is_an_empty_page(sim: Simulator, open_client: Open) -> None:
    sim.fail("204")
    page = open_client(sim.url).list_manga()
    assert (page.entities, sim.stats()["total"]) == ([], 1)


# --- failures ----------------------------------------------------------------------------------

PASSING = [
    "500", "502_html", "503", "504_html", "cut", "close", "reset", "empty_body", "empty_array",
    "html_200", "not_json", "data_null", "data_absent", "total_absent",
    "429_epoch_past", "429_bare", "400_html_overload",
]  # fmt: skip


@pytest.mark.parametrize("mode", PASSING)
def test_a_passing_fault_costs_one_more_request(
    sim: Simulator, open_client: Open, waits: Waits, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    sim.fail(mode)
    client = open_client(sim.url)
    assert len(client.list_manga().entities) == 100
    assert sim.stats()["total"] == 2
    [warning] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.getMessage().startswith("A request will be repeated try=1 wait_s=")
    assert warning.getMessage().isprintable()


@pytest.mark.parametrize("mode", ["400_json", "400_agent", "403_json", "404_json", "302"])
def test_a_refusal_is_not_repeated(sim: Simulator, open_client: Open, mode: str) -> None:
    sim.fail(mode, count=None)
    with pytest.raises(RequestRefused):
        open_client(sim.url).list_manga()
    assert sim.stats()["total"] == 1


@pytest.mark.parametrize("mode", ["500", "close", "html_200", "400_html_overload"])
def test_a_lasting_fault_ends_after_five_tries(
    sim: Simulator, open_client: Open, waits: Waits, mode: str
) -> None:
    sim.fail(mode, count=None)
    client = open_client(sim.url)
    with pytest.raises(SourceDown, match=r"^after 5 tries: GET /manga\?limit=100"):
        client.list_manga()
    assert sim.stats()["total"] == 5


def test_waits_between_tries_are_random_below_a_cap_that_doubles(
    sim: Simulator, open_client: Open, waits: Waits, mocker: MockerFixture
) -> None:
    mocker.patch.object(random, "uniform", lambda low, high: high)
    sim.fail("500", count=None)
    with pytest.raises(SourceDown):
        open_client(sim.url).list_manga()
    expected = [0.01, 0.02, 0.04, 0.08]
    # The budget's waits are among them, and of other lengths.
    assert [s for s in waits.seconds if s in expected] == expected


def test_a_ban_ends_the_run_and_stops_all_requests(sim: Simulator, open_client: Open) -> None:
    sim.fail("403_html_ban")
    with pytest.raises(Banned):
        open_client(sim.url).list_manga()
    with pytest.raises(SourceDown, match="asked for a pause"):
        open_client(sim.url).list_manga()
    assert sim.stats()["total"] == 1


@pytest.mark.slow
def test_a_429_makes_every_process_of_the_host_wait(
    sim: Simulator, open_client: Open, waits: Waits
) -> None:
    sim.fail("429_retry_after", wait_s=1)
    began_s = time.monotonic()
    open_client(sim.url).list_manga()
    assert 1 <= time.monotonic() - began_s < 10
    refused_s = time.monotonic()
    sim.fail("429_retry_after", wait_s=1)
    waits.patience_s = 0.5  # the first client does not sit it out
    with pytest.raises(Stopped):
        open_client(sim.url).list_manga()
    waits.patience_s = math.inf
    open_client(sim.url).list_manga()
    assert 1 <= time.monotonic() - refused_s < 10


def test_a_429_that_names_no_time_waits_a_while(sim: Simulator, open_client: Open) -> None:
    sim.fail("429_bare", count=2)
    began_s = time.monotonic()
    open_client(sim.url).list_manga()
    assert 0.4 <= time.monotonic() - began_s < 10


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_long_pause_that_the_source_asks_for_ends_the_run_at_once(
    serve: Callable[..., RawServer], open_client: Open, waits: Waits, status: str
) -> None:
    head = f"HTTP/1.1 {status}\r\nRetry-After: 1800\r\nContent-Length: 0\r\n\r\n"
    server = serve(answering(head.encode()))
    with pytest.raises(SourceDown, match=r"asked for a pause; 1[78]\d\d s of it are left"):
        open_client(server.url).list_manga()
    assert len(server.requests) == 1
    assert sum(waits.seconds) < 1


def test_a_pause_of_a_damaged_clock_is_capped(
    serve: Callable[..., RawServer], open_client: Open
) -> None:
    far = int(datetime.now(UTC).timestamp()) + 10**9
    head = f"HTTP/1.1 429 No\r\nX-RateLimit-Retry-After: {far}\r\nContent-Length: 0\r\n\r\n"
    server = serve(answering(head.encode()))
    with pytest.raises(SourceDown, match=r"asked for a pause; 3[56]\d\d s"):
        open_client(server.url).list_manga()


def test_failures_in_a_row_end_the_run_and_one_success_forgives_them(
    sim: Simulator, open_client: Open, connection: sql.Connection
) -> None:
    budget = budget_of(connection, sim.url)
    client = open_client(sim.url)
    for _ in range(MAX_FAILURES - 1):
        budget.count_failure()
    client.list_manga()
    for _ in range(MAX_FAILURES - 1):
        budget.count_failure()
    sim.fail("500")
    with pytest.raises(SourceDown, match=f"failed {MAX_FAILURES} times in a row"):
        client.list_manga()
    assert sim.stats()["total"] == 2


def test_a_refusal_is_a_sign_of_health(
    sim: Simulator, open_client: Open, connection: sql.Connection
) -> None:
    budget = budget_of(connection, sim.url)
    for _ in range(MAX_FAILURES - 1):
        budget.count_failure()
    sim.fail("400_json")
    with pytest.raises(RequestRefused):
        open_client(sim.url).list_manga()
    assert budget.read().failures == 0


def test_a_signal_ends_the_wait_between_two_tries(
    sim: Simulator, open_client: Open, waits: Waits, mocker: MockerFixture
) -> None:
    mocker.patch.object(module, "FIRST_WAIT_S", 1_000.0)
    mocker.patch.object(random, "uniform", lambda low, high: high)
    waits.patience_s = 10
    sim.fail("500", count=None)
    began_s = time.monotonic()
    with pytest.raises(Stopped):
        open_client(sim.url).list_manga()
    assert time.monotonic() - began_s < 8
    assert sim.stats()["total"] == 1
