"""Covers of the stand-in: real pictures, and what may come instead of one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import requests
from PIL import Image

from mangadex_sim import Simulator

AGENT = {"User-Agent": "sim-tests/1.0 (tests@example.org)"}


def address(sim: Simulator, index: int = 0) -> str:
    found = requests.get(
        f"{sim.url}/manga?includes[]=cover_art&limit=1&ids[]={sim.title_ids(index, 1)[0]}",
        headers=AGENT,
        timeout=10,
    ).json()
    (title,) = found["data"]
    (cover,) = [r for r in title["relationships"] if r["type"] == "cover_art"]
    return f"{sim.url}/covers/{title['id']}/{cover['attributes']['fileName']}"


def fetch(url: str) -> requests.Response:
    return requests.get(url, headers=AGENT, timeout=20, allow_redirects=False)


@pytest.mark.parametrize(
    ("suffix", "size"), [("", (720, 1080)), (".256.jpg", (256, 384)), (".512.jpg", (512, 768))]
)
def test_a_title_has_a_picture_in_three_sizes(
    simulator: Callable[..., Any], suffix: str, size: tuple[int, int]
) -> None:
    sim = simulator(titles=3, rate=0)
    answer = fetch(address(sim) + suffix)
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", size)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert sim.stats()["by_path"]["/covers/{id}/{file}"] == 1


@pytest.mark.parametrize(
    ("kind", "status", "starts"),
    [
        ("png", 200, b"\x89PNG"),
        ("webp", 200, b"RIFF"),
        ("gif", 200, b"GIF8"),
        ("bomb", 200, b"\x89PNG"),
        ("huge", 200, b"\xff\xd8\xff"),
        ("broken", 200, b"\xff\xd8\xff"),
        ("html", 200, b"<html>"),
        ("disguised", 200, b"<svg"),
        ("empty", 200, b""),
        ("absent", 404, b"<html>"),
        ("redirect", 302, b""),
    ],
)
def test_a_title_may_have_something_else(
    simulator: Callable[..., Any], kind: str, status: int, starts: bytes
) -> None:
    sim = simulator(titles=3, rate=0)
    url = address(sim)
    sim.set_cover(0, kind)
    answer = fetch(url)
    assert answer.status_code == status
    assert answer.content.startswith(starts)


def test_a_bomb_is_small_until_it_is_opened(simulator: Callable[..., Any]) -> None:
    sim = simulator(titles=3, rate=0)
    sim.set_cover(0, "bomb")
    body = fetch(address(sim)).content
    assert len(body) < 1_000_000
    assert int.from_bytes(body[16:20]) * int.from_bytes(body[20:24]) == 900_000_000


def test_what_does_not_exist_is_404(simulator: Callable[..., Any]) -> None:
    sim = simulator(titles=3, rate=0)
    sim.remove_title(1)
    for url in (f"{sim.url}/covers/x", f"{sim.url}/covers/{'0' * 36}/a.jpg", address(sim) + "x"):
        assert fetch(url).status_code == 404


def test_a_bad_order_is_refused(simulator: Callable[..., Any]) -> None:
    sim = simulator(titles=3, rate=0)
    with pytest.raises(ValueError, match="kind must be one of jpeg, png"):
        sim.set_cover(0, "oil")
    with pytest.raises(ValueError, match="width"):
        sim.set_cover(0, "png", width=-1)
