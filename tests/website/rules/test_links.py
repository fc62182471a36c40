"""Ids at other sites as addresses: none that a browser would run, or that leads elsewhere."""

from __future__ import annotations

import pytest

from website.rules.links import link_places


@pytest.mark.parametrize(
    ("site", "id", "url"),
    [
        ("al", "30002", "https://anilist.co/manga/30002"),
        ("mal", " 2 ", "https://myanimelist.net/manga/2"),
        ("kt", "../../x?y#z", "https://kitsu.app/manga/../../x%3Fy%23z"),
        ("bw", "series/1/list", "https://bookwalker.jp/series/1/list"),
        ("mu", "12345", "https://www.mangaupdates.com/series.html?id=12345"),
        ("mu", "axmopy1", "https://www.mangaupdates.com/series/axmopy1"),
        ("raw", "https://shop.example/1", "https://shop.example/1"),
        ("amz", "http://shop.example/1", "http://shop.example/1"),
    ],
)
def test_an_id_leads_to_its_site(site: str, id: str, url: str) -> None:
    assert [place.url for place in link_places([(site, id)])] == [url]


@pytest.mark.parametrize(
    ("site", "id"),
    [
        ("raw", "javascript:alert(1)"),
        ("engtl", "//elsewhere.example"),
        ("raw", "https://"),
        ("amz", "data:text/html,x"),
        ("al", ""),
        ("unknown", "https://x.example"),
        ("x y", "1"),
    ],
)
def test_what_is_no_address_is_left_out(site: str, id: str) -> None:
    assert link_places([(site, id)]) == []
