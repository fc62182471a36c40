"""The calendar: what came and may come, by day; late, hiatus and unpredicted ones apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

import sql
from readers.users import User
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.catalogue import add_title
from tests.support.website import COOKIE, RunningSite, running_site

NOW = datetime(2026, 12, 10, 12, tzinfo=UTC)
HOSTILE = "<b>&\u202e " + "Verylongwordwithoutanyblank" * 20


@pytest.fixture
def titles(connection: sql.Connection, mika: User) -> dict[str, int]:
    habits = {
        "Weekly": (3, 10, 17, 24, 31),
        "Maybe One": (1, 9, 15, 26, 31),
        "Late One": (20, 27, 34, 41),
        "Silent One": (70, 77, 84, 91),
        "New One": (2,),
        HOSTILE: (0, 7, 14, 21),
    }
    found = {}
    for name, days in habits.items():
        found[name] = add_title(connection, name, status="ongoing")
        for ago in days:
            connection.execute(
                "INSERT INTO release_days (manga_id, translated_language, released_on)"
                " VALUES (%s, 'en', %s)",
                [found[name], NOW.date() - timedelta(days=ago)],
            )
        if name != "Weekly":
            connection.execute(
                "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)",
                [mika.id, found[name]],
            )
    return found


def section(page: str, heading: str, until: str = "</section>") -> str:
    return page.partition(heading)[2].partition(until)[0]


def test_a_month_has_what_came_and_what_may_come(database_url: str, titles: dict[str, int]) -> None:
    with running_site(database_url, lambda: NOW) as site:
        page = site.visitor().get("/calendar").text
        december = site.visitor().get("/calendar?month=2026-11").text
    assert "<h1>December 2026</h1>" in page
    came, expected = (section(page, f'id="day-2026-12-{day}"') for day in ("07", "14"))
    assert "Weekly" in came and "came out" in came
    assert "Weekly" in expected and "likely" in expected and "weekly on Monday, 5 of 5" in expected
    assert "Weekly" in section(december, 'id="day-2026-11-30"')


def test_what_has_no_day_stands_apart(database_url: str, titles: dict[str, int]) -> None:
    with running_site(database_url, lambda: NOW) as site:
        page = site.visitor().get("/calendar").text
    for heading, name in (
        ("Late <", "Late One"),
        ("Probably on hiatus", "Silent One"),
        ("Not predicted", "New One"),
    ):
        assert name in section(page, heading, "</details>"), heading
    assert "13 days late" in page


def test_mine_has_the_titles_of_the_library(
    database_url: str, mika: User, titles: dict[str, int]
) -> None:
    with running_site(database_url, lambda: NOW) as site:
        mine, everything = (
            site.visitor(mika).get(f"/calendar{query}").text for query in ("", "?scope=all")
        )
    assert "Weekly" not in mine and "Late One" in mine
    assert "Weekly" in everything


def test_languages_that_are_not_read_do_not_count(
    database_url: str, connection: sql.Connection, mika: User, titles: dict[str, int]
) -> None:
    connection.execute(
        "INSERT INTO reader_preferences (user_id, languages) VALUES (%s, '{vi}')", [mika.id]
    )
    with running_site(database_url, lambda: NOW) as site:
        page = site.visitor(mika).get("/calendar").text
    assert "Late One" in section(page, "Not predicted", "</details>")


def test_without_releases_it_says_what_is_missing(website: RunningSite) -> None:
    assert "a title needs 4 releases" in website.visitor().get("/calendar").text


@pytest.mark.parametrize(
    "query",
    ["month=2026-13", "month=x", "month=1969-12", "month=9999-01", "scope=x", "month=%00"],
)
def test_a_bad_address_is_one_clear_line(website: RunningSite, query: str) -> None:
    assert website.visitor().get(f"/calendar?{query}").status_code == 400


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_finds_nothing_wrong(
    database_url: str,
    browser: Browser,
    mika: User,
    titles: dict[str, int],
    size: tuple[int, int],
    scheme: str,
) -> None:
    with running_site(database_url, lambda: NOW) as site:
        cookies = {COOKIE: site.session_token(mika)}
        with open_tab(browser, site.url, size=size, scheme=scheme, cookies=cookies) as tab:
            for path in ("/calendar", "/calendar?scope=all", "/calendar?month=2027-02"):
                tab.open(path)
                tab.check()
                assert not tab.overflows(), path
