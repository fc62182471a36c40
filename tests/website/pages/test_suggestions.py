"""The page of suggestions."""

from __future__ import annotations

import re
from typing import Any

import pytest

import sql
from readers import library
from readers.users import User
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.website import COOKIE, RunningSite

HOSTILE = '<b>Glass\u202e &amp; "Harbour"' + "x" * 400


def add_title(connection: sql.Connection, title: str, follows: int | None) -> int:
    row = connection.execute(
        "INSERT INTO manga (title, slug, author, status) VALUES (%s, gen_random_uuid()::text,"
        " 'Iwo', 'ongoing') RETURNING id",
        [title],
    ).fetchone()
    assert row
    if follows is not None:
        connection.execute("INSERT INTO title_popularity VALUES (%s, %s, now())", [row[0], follows])
    return int(row[0])


@pytest.fixture
def found(connection: sql.Connection, mika: User) -> int:
    """A title that is suggested, as it is like one of mika's."""
    own = add_title(connection, "The Tin Lantern", None)
    library.add_to_library(connection, mika, [library.TitleRow(own, "")])
    found = add_title(connection, HOSTILE, 9)
    connection.execute("INSERT INTO genres (name) VALUES ('Drama')")
    connection.execute(
        "INSERT INTO manga_genres (manga_id, genre_id)"
        " SELECT manga.id, genres.id FROM manga, genres"
    )
    return found


def test_a_suggestion_says_why_and_can_be_followed(
    website: RunningSite, connection: sql.Connection, mika: User, found: int
) -> None:
    visitor = website.visitor(mika)
    page = re.sub(r"\s+", " ", visitor.get("/me/suggestions").text)
    assert "&lt;b&gt;Glass" in page and "<b>" not in page
    assert "like <bdi>The Tin Lantern</bdi>" in page
    answer = visitor.post(f"/titles/{found}/follow", "/me/suggestions", follow="1")
    assert answer.status_code == 303
    assert "nothing to suggest yet" in visitor.get("/me/suggestions").text


def test_without_any_it_says_what_it_takes(website: RunningSite, mika: User) -> None:
    page = website.visitor(mika).get("/me/suggestions").text
    assert "nothing to suggest yet" in page and 'href="/me/import"' in page


def test_visitors_are_asked_to_sign_in(website: RunningSite) -> None:
    answer = website.visitor().get("/me/suggestions")
    assert answer.status_code in (302, 303, 401)


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_everywhere(
    website: RunningSite, browser: Any, mika: User, found: int, size: Any, scheme: Any
) -> None:
    cookies = {COOKIE: website.session_token(mika)}
    with open_tab(browser, website.url, size=size, scheme=scheme, cookies=cookies) as tab:
        tab.open("/me/suggestions")
        tab.check()
        assert not tab.overflows()
