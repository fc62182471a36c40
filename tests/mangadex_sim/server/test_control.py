"""Orders over HTTP, their errors, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import requests

import mangadex_sim
from mangadex_sim import SimControl
from mangadex_sim.orders.chapter_orders import CHAPTER_KEYS
from mangadex_sim.orders.title_orders import TITLE_KEYS
from mangadex_sim.server.control import Control
from mangadex_sim.server.replies import json_reply
from mangadex_sim.server.site import Site
from mangadex_sim.settings import Settings
from tests.mangadex_sim.conftest import Asker

Make = Callable[..., Asker]


def order(asker: Asker, path: str, **body: Any) -> requests.Response:
    return asker.session.post(f"{asker.sim.url}/_sim/{path}", json=body, timeout=5)


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown title": (
        "titles/edit",
        {"manga": "7c9e6679-7425-40de-944b-e07fc1f90ae7"},
        "no title has the id",
    ),
    "an index too far": ("titles/remove", {"manga": 60}, "no title has the index 60"),
    "a negative index": ("titles/remove", {"manga": -1}, "no title has the index -1"),
    "an unknown attribute": ("titles/add", {"attributes": {"titel": "x"}}, "unknown: titel"),
    "an unknown tag": ("titles/add", {"attributes": {"tags": ["Knitting"]}}, "Knitting"),
    "a bad date": ("titles/add", {"attributes": {"createdAt": "yesterday"}}, "yesterday"),
    "a title missing": ("chapters/publish", {"number": "1"}, "manga"),
    "an unknown key of a chapter": ("chapters/publish", {"manga": 0, "chapter": "1"}, "unknown"),
    "an unknown chapter": ("chapters/remove", {"chapter": "nope"}, "no chapter has the id"),
    "no milliseconds": ("slow", {}, "ms"),
    "a fixed setting": ("settings", {"titles": 3}, "fixed at the start: titles"),
    "an unknown setting": ("settings", {"speed": 3}, "speed"),
    "a bad setting": ("settings", {"rate": -1}, "rate must be from 0"),
    "a setting of words": ("settings", {"rate": "x"}, "rate must be a number"),
    "too many chapters for none": ("chapters/spread", {}, "count"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_order_is_400_with_a_sentence(case: str, asker: Asker) -> None:
    path, body, words = BAD[case]
    response = order(asker, path, **body)
    assert response.status_code == 400, response.text
    assert words in response.json()["error"]
    assert asker.json("/manga?limit=1")["total"] > 0


def test_an_unknown_order_is_404_and_names_the_known(asker: Asker) -> None:
    response = order(asker, "explode")
    assert response.status_code == 404
    assert "titles/add" in response.json()["error"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b'"x"'])
def test_a_body_that_is_no_object_is_400(body: bytes, asker: Asker) -> None:
    response = asker.session.post(asker.sim.url + "/_sim/fail", data=body, timeout=5)
    assert response.status_code == 400 and response.json()["error"]


def test_the_manual_names_every_order() -> None:
    site = Site(Settings(titles=1))
    manual = mangadex_sim.__doc__ or ""
    assert all(
        f"\n  {path} " in manual or f"; {path} likewise" in manual for path in Control(site).paths()
    )


def test_everything_asked_is_counted(asker: Asker) -> None:
    title = asker.sim.title_ids(0, 1)[0]
    for target in (
        "/manga?limit=3",
        "/manga?limit=4",
        f"/manga/{title}",
        f"/manga/{title}/feed",
        "/chapter?limit=1",
        "/nowhere",
        "/manga?foo=1",
    ):
        asker.get(target)
    stats = requests.get(asker.sim.url + "/_sim/stats", timeout=5).json()
    assert stats["total"] == 7
    assert stats["by_path"] == {
        "/manga": 3,
        "/manga/{id}": 1,
        "/manga/{id}/feed": 1,
        "/chapter": 1,
        "/nowhere": 1,
    }
    assert stats["by_status"] == {"200": 5, "404": 1, "400": 1}
    assert stats["queries"][0] == "/manga?limit=3"
    assert len(stats["arrivals"]) == 7 and stats["arrivals"] == sorted(stats["arrivals"])
    assert stats["user_agents"] == {asker.session.headers["User-Agent"]: 7}
    asker.sim.reset()
    assert asker.sim.stats()["total"] == 0


def test_orders_are_answered_while_down_limited_slow_and_failing(make_sim: Make) -> None:
    asker = make_sim(rate=1)
    control = SimControl(asker.sim.url)
    control.fail("500", count=None)
    control.slow(5_000)
    control.down()
    for _ in range(10):
        control.stats()
    control.reset()
    control.change_settings(rate=0)
    assert asker.get("/ping").text == "pong"
    assert control.stats()["total"] == 1


def test_a_reset_keeps_catalogue_rules_and_starting_latency(make_sim: Make) -> None:
    asker = make_sim(latency_s=0.05)
    title = asker.sim.add_title(title="Kept")
    asker.sim.slow(1)
    asker.sim.change_settings(rate=77)
    asker.sim.reset()
    assert asker.json(f"/manga/{title}")["data"]["id"] == title
    settings = asker.sim.change_settings()
    assert (settings["rate"], settings["latency_s"]) == (77, 0.05)


def test_the_remote_control_has_every_command(asker: Asker) -> None:
    control = SimControl(asker.sim.url + "/")
    title, other = control.add_titles(2, title="Remote")
    chapter = control.publish(title, number=4)
    assert [row["number"] for row in control.list_chapters(title)] == ["4"]
    control.edit_chapter(chapter, number=5)
    control.make_unavailable(chapter)
    assert asker.json(f"/manga/{title}/feed")["total"] == 0
    control.make_unavailable(chapter, value=False)
    assert asker.json(f"/manga/{title}/feed")["data"][0]["attributes"]["chapter"] == "5"
    control.remove_chapter(chapter)
    control.publish_many([{"manga": title, "number": "1"}, {"manga": other, "number": "2"}])
    control.spread_chapters(3)
    control.edit_title(title, status="completed")
    control.remove_title(title, other)
    assert asker.get(f"/manga/{title}").status_code == 404
    control.restore_title(title)
    assert asker.json(f"/manga/{title}")["data"]["attributes"]["status"] == "completed"
    control.shift_clock(60)
    control.down(seconds=60)
    control.up()
    control.heal()
    with pytest.raises(ValueError, match="no title"):
        control.publish("nobody", number="1")


def test_a_remote_control_without_a_simulator_is_an_oserror(make_sim: Make) -> None:
    asker = make_sim()
    control = SimControl(asker.sim.url)
    asker.sim.stop()
    with pytest.raises(OSError):
        control.stats()


def test_a_refusal_ordered_over_http_is_still_answered(asker: Asker) -> None:
    SimControl(asker.sim.url).down(seconds=30, refuse=True)
    with pytest.raises(requests.ConnectionError):
        asker.get("/ping")
    asker.sim.up()
    assert asker.get("/ping").text == "pong"


def test_titles_may_be_listed_with_their_own_attributes(asker: Asker) -> None:
    answer = asker.sim.order("titles/add", titles=[{"title": "A"}, {"title": "B", "year": 1}])
    assert len(answer["ids"]) == 2 and answer["indexes"] == [60, 61]
    assert asker.json(f"/manga/{answer['ids'][1]}")["data"]["attributes"]["year"] == 1
    assert asker.sim.order("titles/ids", first=60)["ids"] == answer["ids"]


VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    10**30,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\0",
    "\ud800",
    "en",
    "2025-01-01T00:00:00",
    "9999-12-31T23:59:59+00:00",
    "0001-01-01T00:00:00",
    [],
    ["a", 1],
    {},
    {"en": "x"},
    [{}],
]
FIELDS: dict[str, tuple[str, ...]] = {
    "titles/add": ("count", "titles"),
    "titles/edit": ("manga",),
    "titles/remove": ("manga",),
    "titles/restore": ("manga",),
    "titles/ids": ("first", "count"),
    "chapters/publish": ("manga", *CHAPTER_KEYS),
    "chapters/edit": ("chapter", *CHAPTER_KEYS),
    "chapters/remove": ("chapter",),
    "chapters/unavailable": ("chapter", "value"),
    "chapters/list": ("manga",),
    "chapters/spread": ("count", "hours"),
    "clock": ("shift_s", "by_s"),
    "slow": ("ms",),
    "settings": ("rate", "window_s", "ban_s"),
}


def invent_order(rng: Random, site: Site) -> tuple[str, dict[str, Any]]:
    """Return an order whose fields are mostly nonsense."""
    path = rng.choice(list(FIELDS))
    order = {name: rng.choice(VALUES) for name in FIELDS[path] if rng.random() < 0.4}
    if path in ("titles/add", "titles/edit"):
        order["attributes"] = {name: rng.choice(VALUES) for name in rng.sample(TITLE_KEYS, 2)}
    if rng.random() < 0.8:
        order["manga"] = order["chapter"] = rng.randrange(site.catalogue.size)
        rows = site.catalogue.chapters_of(order["manga"])
        order["chapter"] = site.catalogue.ids.to_text(rows[0].key) if rows else "none"
        order = {
            name: value for name, value in order.items() if name in (*FIELDS[path], "attributes")
        }
    return path, order


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_no_order_however_odd_keeps_the_api_from_answering(seed: int) -> None:
    rng, site = Random(seed), Site(Settings(titles=8))
    control, carried_out = Control(site), 0
    for _ in range(120):
        path, order = invent_order(rng, site)
        try:
            control.order(path, order)
            carried_out += 1
        except (ValueError, TypeError):
            pass
        for target, query in LISTS:
            json_reply(site.api.answer(target, query, site.clock.now()))
    assert carried_out > 20
    assert site.settings.rate >= 0


LISTS = [
    ("/manga", "limit=100&order[updatedAt]=desc"),
    ("/manga", "order[title]=asc&limit=100"),
    ("/manga", "order[year]=asc&title=x&availableTranslatedLanguage[]=en"),
    ("/manga", "order[followedCount]=desc&createdAtSince=2020-01-01T00:00:00"),
    ("/chapter", "limit=100&order[readableAt]=desc&includes[]=manga&includes[]=scanlation_group"),
    ("/chapter", "limit=100&order[chapter]=desc&includes[]=user&title=x"),
]


@pytest.mark.parametrize(
    "changes",
    [
        {"titles": -1},
        {"titles": 10**9},
        {"rate": -1},
        {"retry_header": "later"},
        {"latency_s": -1},
        {"titles": "many"},
        {"rate": True},
    ],
)
def test_a_bad_setting_is_refused_at_the_start(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Settings(**changes)
