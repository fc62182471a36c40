"""Every named failure, seen from a client."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import requests

from mangadex_sim.server.faults import MODES
from mangadex_sim.server.payloads import PAYLOAD_MODES, SPOILED_ITEMS
from mangadex_sim.server.replies import CANNED, MANNERS
from tests.mangadex_sim.conftest import Asker
from tests.support.waiting import wait_until

Make = Callable[..., Asker]

# mode: status, content type, part of the body, headers that must be there
EXPECTED: dict[str, tuple[int, str | None, str, tuple[str, ...]]] = {
    "429_epoch": (429, "application/json", "too_many", ("X-RateLimit-Retry-After",)),
    "429_epoch_past": (429, "application/json", "too_many", ("X-RateLimit-Retry-After",)),
    "429_retry_after": (429, "text/html; charset=utf-8", "429", ("Retry-After",)),
    "429_bare": (429, "text/html; charset=utf-8", "429", ()),
    "403_json": (403, "application/json", "access_denied", ()),
    "403_html_ban": (403, "text/html; charset=utf-8", "blocked", ()),
    "404_json": (404, "application/json", "not_found", ()),
    "400_json": (400, "application/json", "validation", ()),
    "400_html_overload": (
        400,
        "text/html; charset=utf-8",
        "<p>Your browser sent an invalid request.</p>",
        (),
    ),
    "400_agent": (400, "text/plain; charset=utf-8", "User-Agent", ()),
    "500": (500, "application/json", "internal_server_error", ()),
    "502_html": (502, "text/html; charset=utf-8", "Bad Gateway", ()),
    "503": (503, "text/html; charset=utf-8", "Unavailable", ()),
    "504_html": (504, "text/html; charset=utf-8", "Time-out", ()),
    "302": (302, None, "", ("Location",)),
    "204": (204, None, "", ()),
    "html_200": (200, "text/html; charset=utf-8", "<html>", ()),
    "empty_body": (200, None, "", ()),
    "empty_array": (200, "application/json", "[]", ()),
    "not_json": (200, "application/json", '{"result"', ()),
}


def test_the_table_knows_all_canned_failures() -> None:
    assert set(EXPECTED) == set(CANNED)


@pytest.mark.parametrize("mode", EXPECTED)
def test_a_canned_failure_comes_once(mode: str, asker: Asker) -> None:
    asker.sim.fail(mode)
    response = asker.get("/manga", allow_redirects=False)
    status, kind, part, headers = EXPECTED[mode]
    assert (response.status_code, response.headers.get("Content-Type")) == (status, kind)
    assert part in response.text and all(each in response.headers for each in headers)
    assert asker.get("/manga").json()["result"] == "ok"
    assert asker.sim.stats()["by_status"][str(status)] >= 1


def test_a_429_tells_the_ordered_time(asker: Asker) -> None:
    asker.sim.fail("429_epoch", wait_s=30)
    epoch = int(asker.get("/ping").headers["X-RateLimit-Retry-After"])
    assert 28 < epoch - time.time() <= 31
    asker.sim.fail("429_retry_after", wait_s=7)
    assert asker.get("/ping").headers["Retry-After"] == "7"


BROKEN: dict[str, type[Exception]] = {
    "cut": requests.exceptions.ChunkedEncodingError,
    "close": requests.ConnectionError,
    "reset": requests.ConnectionError,
}


@pytest.mark.parametrize("mode", BROKEN)
def test_a_broken_connection_is_an_error_for_the_client(mode: str, asker: Asker) -> None:
    asker.sim.fail(mode)
    with pytest.raises(BROKEN[mode]):
        asker.get("/manga")
    assert asker.get("/manga").status_code == 200
    assert mode in asker.sim.stats()["by_status"]


def test_a_cut_answer_promises_more_than_it_sends(asker: Asker) -> None:
    host, port = asker.sim.url.removeprefix("http://").split(":")
    asker.sim.fail("cut")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /manga HTTP/1.1\r\nHost: x\r\nUser-Agent: t/1\r\n\r\n")
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < promised


def test_a_hanging_request_is_given_up_by_the_client(asker: Asker) -> None:
    asker.sim.fail("hang")
    with pytest.raises(requests.exceptions.ReadTimeout):
        asker.session.get(asker.sim.url + "/manga", timeout=0.2)
    assert asker.get("/manga").status_code == 200


def test_a_huge_body_has_no_length_and_ends_when_the_client_leaves(asker: Asker) -> None:
    asker.sim.fail("huge")
    response = asker.get("/manga", stream=True)
    assert "Content-Length" not in response.headers
    taken = 0
    for chunk in response.iter_content(65_536):
        taken += len(chunk)
        if taken > 5_000_000:
            break
    response.close()
    assert taken > 5_000_000
    assert asker.get("/ping").text == "pong"


def test_a_huge_body_can_be_of_a_size(asker: Asker) -> None:
    asker.sim.fail("huge", bytes=300_000)
    assert 300_000 <= len(asker.get("/manga").content) < 500_000


def test_a_dripping_body_arrives_late_but_whole(asker: Asker) -> None:
    asker.sim.fail("drip", seconds=0.3)
    started = time.monotonic()
    assert asker.get("/manga").json()["result"] == "ok"
    assert time.monotonic() - started > 0.2


def test_one_answer_can_be_slow(asker: Asker) -> None:
    asker.sim.fail("slow", seconds=0.5)
    started = time.monotonic()
    asker.get("/manga")
    assert time.monotonic() - started >= 0.5
    started = time.monotonic()
    asker.get("/manga")
    assert time.monotonic() - started < 0.5


def text_of(item: dict[str, Any]) -> Any:
    title = item["attributes"]["title"]
    return title["en"] if isinstance(title, dict) else title


SPOILED: dict[str, Callable[[Any], bool]] = {
    "without_id": lambda item: "id" not in item,
    "bad_id": lambda item: item["id"] == "not-a-uuid",
    "number_where_text": lambda item: isinstance(text_of(item), int),
    "1mb": lambda item: len(text_of(item)) == 1_000_000,
    "nul": lambda item: "\0" in text_of(item),
    "lone_surrogate": lambda item: text_of(item).endswith("\ud83d"),
    "bad_date": lambda item: item["attributes"]["updatedAt"] == "yesterday",
    "without_attributes": lambda item: "attributes" not in item,
    "without_relationships": lambda item: "relationships" not in item,
    "null": lambda item: item is None,
    "not_object": lambda item: isinstance(item, str),
}


@pytest.mark.parametrize("mode", SPOILED_ITEMS)
def test_one_item_of_a_page_is_spoiled(mode: str, asker: Asker) -> None:
    prefix, _, name = mode.partition("_")
    target = {"title": "/manga", "chapter": "/chapter"}[prefix] + "?limit=5"
    good = asker.json(target)["data"]
    asker.sim.fail(mode, position=2)
    assert asker.json("/manga/tag")["result"] == "ok", "what it does not fit does not use it up"
    bad = asker.json(target)["data"]
    assert [a == b for a, b in zip(good, bad, strict=True)] == [True, True, False, True, True]
    assert SPOILED[name](bad[2])
    assert asker.json(target)["data"] == good, "the catalogue itself is whole"


def test_a_single_entity_is_spoiled_too(asker: Asker) -> None:
    title = asker.sim.title_ids(0, 1)[0]
    asker.sim.fail("title_nul", paths=f"/manga/{title}")
    assert "\0" in asker.json(f"/manga/{title}")["data"]["attributes"]["title"]["en"]


@pytest.mark.parametrize(
    ("mode", "target"), [("same_title_twice", "/manga"), ("same_chapter_twice", "/chapter")]
)
def test_an_item_comes_twice_on_a_page(mode: str, target: str, asker: Asker) -> None:
    asker.sim.fail(mode)
    rows = asker.json(target)["data"]
    assert rows[0] == rows[1] and len(rows) == 11


def test_the_list_itself_can_be_wrong(asker: Asker) -> None:
    for mode in ("data_null", "data_absent", "total_absent"):
        asker.sim.fail(mode)
    assert asker.json("/manga")["data"] is None
    assert "data" not in asker.json("/manga")
    assert "total" not in asker.json("/manga")


def test_all_modes_are_listed_and_tried(asker: Asker) -> None:
    listed = asker.sim.order("fail", mode="204")["modes"]
    assert listed == list(MODES)
    tried = {
        *EXPECTED,
        *BROKEN,
        *SPOILED_ITEMS,
        "hang",
        "huge",
        "drip",
        "slow",
        "same_title_twice",
        "same_chapter_twice",
        "data_null",
        "data_absent",
        "total_absent",
    }
    assert tried == {*CANNED, *MANNERS, *PAYLOAD_MODES, "slow"} == set(MODES)


def statuses(asker: Asker, count: int, target: str = "/ping") -> list[int]:
    return [asker.get(target).status_code for _ in range(count)]


def test_a_failure_comes_as_often_as_ordered(asker: Asker) -> None:
    asker.sim.fail("500", count=3)
    assert statuses(asker, 5) == [500] * 3 + [200] * 2


def test_a_failure_lets_some_requests_pass_first(asker: Asker) -> None:
    asker.sim.fail("500", skip=2)
    assert statuses(asker, 4) == [200, 200, 500, 200]


def test_failures_come_in_the_order_of_their_orders(asker: Asker) -> None:
    asker.sim.fail("500")
    asker.sim.fail("503", count=2)
    assert statuses(asker, 4) == [500, 503, 503, 200]


def test_a_failure_can_last_until_healed(asker: Asker) -> None:
    asker.sim.fail("503", count=None)
    assert statuses(asker, 20) == [503] * 20
    asker.sim.heal()
    assert statuses(asker, 1) == [200]


def test_a_failure_can_be_for_some_paths(asker: Asker) -> None:
    asker.sim.fail("500", count=None, paths=["/manga/*/feed", "/chapter"])
    title = asker.sim.title_ids(0, 1)[0]
    assert statuses(asker, 1, f"/manga/{title}/feed") == [500]
    assert statuses(asker, 1, "/chapter?limit=3") == [500]
    assert statuses(asker, 1, f"/manga/{title}") == [200]


def test_a_failure_by_chance_is_the_same_for_a_seed(asker: Asker) -> None:
    runs = []
    for _ in range(2):
        asker.sim.fail("500", probability=0.4, seed=11)
        runs.append(statuses(asker, 30))
        asker.sim.heal()
    assert runs[0] == runs[1] and 4 < runs[0].count(500) < 20


def test_a_failure_can_end_by_time(asker: Asker) -> None:
    asker.sim.fail("500", active_s=1)
    assert asker.get("/ping").status_code == 500
    wait_until(lambda: asker.get("/ping").status_code == 200)


@pytest.mark.parametrize(
    "order",
    [{"mode": "tired"}, {}, {"mode": "500", "count": "many"}, {"mode": "500", "probability": "x"}],
)
def test_a_bad_failure_is_refused(order: dict[str, Any], asker: Asker) -> None:
    with pytest.raises(ValueError, match=r"mode|many|x"):
        asker.sim.order("fail", **order)
    assert statuses(asker, 3) == [200] * 3


def test_down_closes_without_an_answer_until_up(asker: Asker) -> None:
    asker.sim.down()
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            asker.get("/ping")
    asker.sim.up()
    assert asker.get("/ping").text == "pong"


def test_down_can_end_by_itself(asker: Asker) -> None:
    asker.sim.down(seconds=1)
    with pytest.raises(requests.ConnectionError):
        asker.get("/ping")
    wait_until(lambda: answers(asker))


def test_refused_connections_come_back_by_time(asker: Asker) -> None:
    asker.get("/ping")
    asker.sim.down(seconds=1, refuse=True)
    with pytest.raises(requests.ConnectionError, match=r"refused|aborted|disconnected"):
        asker.get("/ping")
    wait_until(lambda: answers(asker))


def test_refused_connections_come_back_by_order_at_the_same_port(asker: Asker) -> None:
    url = asker.sim.url
    for _ in range(3):
        asker.sim.down(refuse=True)
        with pytest.raises(requests.ConnectionError):
            asker.get("/ping")
        asker.sim.up()
        asker.sim.up()
        assert asker.get("/ping").text == "pong"
    assert asker.sim.url == url


def answers(asker: Asker) -> bool:
    try:
        return asker.get("/ping").text == "pong"
    except requests.ConnectionError:
        return False


def test_the_clock_can_be_shifted(asker: Asker) -> None:
    answer = asker.sim.order("clock", shift_s=86_400)
    ahead = datetime.fromisoformat(answer["now"]).timestamp() - time.time()
    assert 86_390 < ahead < 86_410
    assert asker.sim.order("clock", by_s=-400)["shift_s"] == 86_000


def test_a_spoiled_answer_is_still_valid_json_bytes(asker: Asker) -> None:
    asker.sim.fail("title_lone_surrogate")
    raw = asker.get("/manga").content
    assert b"\\ud83d" in raw
    json.loads(raw.decode("utf-8"))
