"""Ids and addresses of other sites, in the forms that lists and MangaDex write them."""

from __future__ import annotations

import pytest

from readers.lists.entries import sites


@pytest.mark.parametrize(
    ("site", "value", "id"),
    [
        ("al", 30002, "30002"),
        ("al", "0030002", "30002"),
        ("mal", 0, None),
        ("mal", "0", None),
        ("mal", -5, None),
        ("mal", "abc", None),
        ("mal", 2.0, None),
        ("mal", None, None),
        ("mal", "https://myanimelist.net/manga/2/Berserk", "2"),
        ("kt", "Some-Slug", "some-slug"),
        ("kt", "https://kitsu.io/manga/berserk", "berserk"),
        ("mu", "axmopy6", "axmopy6"),
        ("mu", "https://www.mangaupdates.com/series/axmopy6/berserk", "axmopy6"),
        ("ap", "a b", None),
        ("ap", "x" * 201, None),
        ("al", "https://example.org/1", None),
    ],
)
def test_an_id_is_read_as_it_is_compared(site: str, value: object, id: str | None) -> None:
    assert sites.read_id(site, value) == id


def test_an_id_of_mangaupdates_has_two_spellings() -> None:
    number = int("axmopy6", 36)
    assert sites.spellings("mu", "axmopy6") == {"axmopy6", str(number)}
    assert sites.spellings("mu", str(number)) == {"axmopy6", str(number)}
    assert sites.spellings("mu", "some-slug") == {"some-slug"}
    assert sites.spellings("al", "7") == {"7"}


@pytest.mark.parametrize(("site", "id"), [("al", "1"), ("mal", "2"), ("kt", "b"), ("ap", "c")])
def test_the_address_of_a_page_is_read_back(site: str, id: str) -> None:
    _, address = sites.page_of(site, id)
    assert sites.read_address(address) == (site, id)


def test_a_page_of_mangaupdates_is_by_its_new_id() -> None:
    assert sites.page_of("mu", str(int("axmopy6", 36)))[1].endswith("/series/axmopy6")
    assert sites.page_of("mu", "axmopy6")[1].endswith("/series/axmopy6")


@pytest.mark.parametrize("text", ["", "x", "a" * 36, "-" * 36, None, 5, "１" * 5])
def test_what_is_no_id_of_mangadex_is_none(text: object) -> None:
    assert sites.read_mangadex(text) == (None, None)
    assert sites.read_uuid(text) is None
