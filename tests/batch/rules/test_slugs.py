"""Slugs: readable where the title allows it, unique in any case."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.rules import slugs

ONE = UUID("0d1e2f30-4152-4364-9586-a7b8c9dae0f1")
OTHER = UUID("0d1e2f30-0000-4000-8000-000000000000")  # the same first eight digits


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("The Lighthouse Keeper's Debt", "the-lighthouse-keepers-debt"),
        ("Ça  ira, déjà-vu!", "ca-ira-deja-vu"),
        ("  --Salt & Ash--  ", "salt-ash"),
        ("100% (2nd)", "100-2nd"),
        ("ＦＵＬＬ width", "full-width"),
        ("灯台守", ""),
        ("🧂🧂", ""),
        ("", ""),
        ("A" * 1_000, "a" * 200),
        ("A" * 199 + " b", "a" * 199),
    ],
)
def test_a_slug_is_lower_case_words_joined_by_hyphens(title: str, slug: str) -> None:
    assert slugs.base_slug(title) == slug


def test_a_taken_slug_gets_a_suffix_of_the_id() -> None:
    chosen = slugs.choose([(ONE, "Salt")], {"salt"})
    assert chosen == {ONE: "salt-0d1e2f30"}


def test_an_empty_slug_is_made_from_the_id() -> None:
    assert slugs.choose([(ONE, "灯台守")], set()) == {ONE: "0d1e2f30"}


def test_titles_of_one_page_get_different_slugs() -> None:
    chosen = slugs.choose([(ONE, "Salt"), (OTHER, "Salt!")], set())
    assert chosen == {ONE: "salt", OTHER: "salt-0d1e2f30"}


def test_the_whole_id_helps_where_its_beginning_is_taken() -> None:
    taken = {"salt", "salt-0d1e2f30", "0d1e2f30"}
    assert slugs.choose([(ONE, "Salt")], taken) == {ONE: f"salt-{ONE.hex}"}
    assert slugs.choose([(ONE, "灯")], taken) == {ONE: ONE.hex}


def test_a_title_whose_candidates_are_all_taken_still_gets_one() -> None:
    taken = set(slugs.candidates("Salt", ONE))
    assert slugs.choose([(ONE, "Salt")], taken) == {ONE: str(ONE)}


titles = st.lists(
    st.tuples(st.uuids(), st.sampled_from(["Salt", "SALT", "salt!", "灯", "", "Ash"]) | st.text()),
    unique_by=lambda pair: pair[0],
    max_size=12,
)


@given(titles, st.sets(st.sampled_from(["salt", "ash", "salt-1"])))
def test_slugs_are_unique_well_formed_and_not_taken(
    pairs: list[tuple[UUID, str]], taken: set[str]
) -> None:
    chosen = slugs.choose(pairs, taken)
    assert set(chosen) == {mangadex_id for mangadex_id, _ in pairs}
    assert len(set(chosen.values())) == len(pairs)
    assert not set(chosen.values()) & taken
    for slug in chosen.values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
        assert len(slug) <= 255
