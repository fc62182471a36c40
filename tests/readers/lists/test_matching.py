"""An entry is matched by id, by links, by names, and never by a guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

import sql
from readers.lists.catalogue import match_entries
from readers.lists.entries.entry import make_entry
from readers.lists.matching import Match

ID = UUID("a1c7c817-4e59-43b7-9365-09675a149a6f")


@pytest.fixture
def match(connection: sql.Connection) -> Callable[..., Match]:
    def match(**entry: Any) -> Match:
        return match_entries(connection, [make_entry(**entry)])[0]

    return match


def told(match: Match) -> tuple[str, str, int | None]:
    return match.state, match.by, match.manga_id


def test_an_id_is_enough_and_counts_before_all_else(add_title: Any, match: Any) -> None:
    one = add_title("One", id=ID)
    add_title("Two", al="2")
    assert told(match(title="Two", mangadex_id=ID, ids={"al": "2"})) == ("matched", "id", one)


def test_an_unknown_id_is_wanted_whatever_the_name(add_title: Any, match: Any) -> None:
    add_title("One", al="1")
    assert told(match(title="One", mangadex_id=ID)) == ("wanted", "none", None)
    assert told(match(title="One", legacy_id=5, ids={"al": "1"})) == ("wanted", "none", None)


def test_a_link_of_one_title_is_enough(add_title: Any, match: Any) -> None:
    one = add_title("One", al="1", mal="2")
    assert told(match(title="Else", ids={"al": "1", "mal": "2"})) == ("matched", "link", one)
    assert told(match(ids={"mal": "2", "kt": "unknown"})) == ("matched", "link", one)


def test_sites_that_disagree_are_doubtful(add_title: Any, match: Any) -> None:
    titles = {add_title("One", al="1"), add_title("Two", mal="2")}
    found = match(ids={"al": "1", "mal": "2"})
    assert found.state == "doubtful" and "disagree" in found.why
    assert {each.manga_id for each in found.candidates} == titles


def test_an_id_of_several_titles_is_doubtful_unless_one_has_the_name(
    add_title: Any, match: Any
) -> None:
    add_title("One (Colour)", al="1")
    one = add_title("One: The Series", al="1", names=("Uno",))
    assert match(title="Else", ids={"al": "1"}).state == "doubtful"
    assert told(match(title="uno!", ids={"al": "1"})) == ("matched", "link", one)


def test_a_second_site_decides_between_several_titles(add_title: Any, match: Any) -> None:
    add_title("One (Colour)", al="1")
    one = add_title("One", al="1", mal="5")
    assert told(match(ids={"al": "1", "mal": "5"})) == ("matched", "link", one)


def test_a_removed_link_counts_where_no_live_one_does(
    add_title: Any, match: Any, connection: sql.Connection
) -> None:
    old = add_title("Old", al="1")
    connection.execute("UPDATE manga_links SET until = now()")
    assert told(match(ids={"al": "1"})) == ("matched", "link", old)
    new = add_title("New", al="1")
    assert told(match(ids={"al": "1"})) == ("matched", "link", new)


@pytest.mark.parametrize(
    ("linked", "asked"),
    [("axmopy6", "23801312094"), ("23801312094", "axmopy6"), ("88", "88"), ("88", "2g")],
)
def test_mangaupdates_ids_are_compared_in_both_forms(
    add_title: Any, match: Any, linked: str, asked: str
) -> None:
    one = add_title("One", mu=linked)
    assert told(match(ids={"mu": asked})) == ("matched", "link", one)


def test_a_unique_name_is_enough_main_or_not(add_title: Any, match: Any) -> None:
    one = add_title("Kenpuu Denki Berserk", names=("Berserk", "BERSERK"))
    add_title("Naruto")
    assert told(match(title="berserk!")) == ("matched", "title", one)
    assert told(match(title="Unheard of", other_titles=["Berserk"])) == ("matched", "title", one)
    assert told(match(title="Berserk", ids={"al": "7"})) == ("matched", "title", one)


def test_a_name_of_several_titles_is_doubtful_unless_the_author_is_one_s(
    add_title: Any, match: Any
) -> None:
    for author in ("Ann", "Bob", ""):
        add_title("Monster", author=author)
    found = match(title="Monster")
    assert found.state == "doubtful" and len(found.candidates) == 3
    assert match(title="Monster", author="Cid").state == "doubtful"
    assert told(match(title="Monster", author="bob"))[:2] == ("matched", "title")


def test_a_nearly_equal_name_is_enough_if_it_is_unique(add_title: Any, match: Any) -> None:
    one = add_title("The Longest Journey of the Hatmaker")
    add_title("Something Else Entirely")
    near = match(title="The Longest Journey of the Hatmakers")
    assert told(near) == ("matched", "title", one)
    add_title("The Longest Journey of the Hatmakerz")
    assert match(title="The Longest Journey of the Hatmakers").state == "doubtful"


def test_a_name_that_is_like_others_is_doubtful_with_the_nearest_first(
    add_title: Any, match: Any
) -> None:
    far = add_title("Blue Lantern Kronicle")
    near = add_title("Blue Lantern Chronic")
    found = match(title="Blue Lantern Chronicles")
    assert found.state == "doubtful"
    assert [each.manga_id for each in found.candidates] == [near, far]


def test_another_number_is_another_title_however_near(add_title: Any, match: Any) -> None:
    add_title("The Longest Journey of the Hatmaker 2")
    assert match(title="The Longest Journey of the Hatmaker 3").state == "doubtful"
    assert match(title="The Longest Journey of the Hatmakers 2").state == "matched"


def test_at_most_five_candidates_are_shown(add_title: Any, match: Any) -> None:
    for _ in range(7):
        add_title("Home")
    found = match(title="Home")
    assert len(found.candidates) == 5 and found.why == "7 titles have its name"


def test_a_oneshot_is_doubtful_by_its_name(add_title: Any, match: Any) -> None:
    add_title("Home", al="1")
    assert match(title="Home", is_oneshot=True).state == "doubtful"
    assert match(title="Home", is_oneshot=True, ids={"al": "1"}).state == "matched"


@pytest.mark.parametrize("title", ["Unheard of", "", "!?", "x" * 500, "か"])
def test_what_is_not_there_is_unmatched(add_title: Any, match: Any, title: str) -> None:
    add_title("が")
    assert told(match(title=title, ids={"al": "1"})) == ("unmatched", "none", None)
