"""`library list` and `library move` with titles that are gone."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def ine(connection: Any, make_user: Any) -> str:
    user = make_user()
    connection.execute("UPDATE users SET username = 'ine' WHERE id = %s", [user])
    return "ine"


@pytest.fixture
def gone(connection: Any, ine: str, make_manga: Any) -> int:
    """A title of ine's that is gone."""
    row = connection.execute("SELECT id FROM users WHERE username = 'ine'").fetchone()
    manga = make_manga("The Tin Lantern", (row[0],))
    connection.execute("UPDATE manga SET unavailable_at = now() WHERE id = %s", [manga])
    return int(manga)


@pytest.fixture
def successor(connection: Any, gone: int, make_manga: Any) -> int:
    manga = make_manga("Tin Lantern (new)")
    connection.execute(
        "INSERT INTO manga_links (manga_id, site, external_id) SELECT id, 'al', '7'"
        " FROM unnest(%s::bigint[]) AS id",
        [[gone, manga]],
    )
    return int(manga)


def test_a_title_that_is_gone_is_listed_as_such(run: Any, ine: str, gone: int) -> None:
    assert run("library", "list", ine).stdout == f"{gone}\tThe Tin Lantern\tgone at MangaDex\n"
    (row,) = run("library", "list", ine, "--json").json["manga"]
    assert row == {"id": gone, "title": "The Tin Lantern", "gone": True, "successor": None}
    done = run("library", "move", ine, "tin lantern")
    assert done.code == 1 and "no one successor" in done.stderr


def test_its_successor_is_offered_and_moved_to(
    run: Any, ine: str, gone: int, successor: int
) -> None:
    line = run("library", "list", ine).stdout
    assert f"may be id:{successor} Tin Lantern (new) now (same id at AniList)" in line
    (row,) = run("library", "list", ine, "--json").json["manga"]
    assert row["successor"]["id"] == successor
    assert run("library", "move", ine, f"id:{gone}").code == 0
    assert run("library", "list", ine).stdout == f"{successor}\tTin Lantern (new)\n"


def test_a_title_may_be_named_and_has_to_exist(
    run: Any, ine: str, gone: int, make_manga: Any
) -> None:
    other = make_manga("Glass Harbour")
    assert run("library", "move", ine, f"id:{gone}", "Unheard of").code == 1
    assert run("library", "move", ine, f"id:{gone}", "glass").code == 0
    assert run("library", "list", ine, "--json").json["manga"][0]["id"] == other
    assert run("library", "move", ine, f"id:{gone}", "glass").code == 1
