"""A title's page: its addresses, facts, chapters by day, history, and what it says when empty."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser
from psycopg.types.json import Jsonb

import sql
from readers.users import User
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.catalogue import add_chapter, add_title
from tests.support.website import COOKIE, RunningSite

MANGADEX_ID = uuid.UUID(int=7)
NOW = datetime.now(UTC)


@pytest.fixture
def title(connection: sql.Connection) -> int:
    return add_title(
        connection,
        "Blue Lantern",
        slug="blue-lantern",
        mangadex_id=MANGADEX_ID,
        author="Himuro Jun",
        status="ongoing",
        description="A lamp.\nIt burns.",
        genres=["Drama"],
        names={"青い灯": "ja"},
        links={"al": "30002", "raw": "javascript:alert(1)"},
        first_synced_at="2026-05-03",
    )


@pytest.mark.parametrize("form", ["{id}", "{id}-blue-lantern", "{id}-anything", str(MANGADEX_ID)])
def test_it_has_several_addresses(website: RunningSite, title: int, form: str) -> None:
    page = website.visitor().get(f"/titles/{form.format(id=title)}").text
    assert "<h1><bdi>Blue Lantern</bdi></h1>" in page
    assert "Himuro Jun" in page and "anilist.co/manga/30002" in page and "青い灯" in page
    assert f"mangadex.org/title/{MANGADEX_ID}" in page and "javascript:" not in page


@pytest.mark.parametrize(
    "path",
    ["0", "x", "99999", "-1", "1" * 30, "1.5", str(uuid.UUID(int=9)), "%00", "1/x", "١"],
)
def test_what_is_no_title_is_not_found(website: RunningSite, title: int, path: str) -> None:
    assert website.visitor().get(f"/titles/{path}").status_code == 404


def test_chapters_stand_by_day_lowest_first(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    day = NOW - timedelta(days=2)
    for number in ("10", "9", "11.5"):
        add_chapter(connection, title, number, day, [f"Team {number}"], volume=number)
    add_chapter(connection, title, "8", day - timedelta(days=1))
    add_chapter(connection, title, "7", day, unavailable_at=day)
    add_chapter(connection, title, "6", NOW + timedelta(days=9))
    page = website.visitor().get(f"/titles/{title}").text
    assert "ch. 9–10, 11.5 (3)" in page
    assert page.index("ch. 9–10") < page.index("ch. 8")
    assert "ch. 7" not in page and "ch. 6" not in page
    assert "Team 9" in page


def test_many_chapters_are_paged(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    for number in range(1, 131):
        add_chapter(connection, title, str(number), NOW - timedelta(hours=30 * (131 - number)))
    visitor, path, pages = website.visitor(), f"/titles/{title}", []
    for _ in range(3):
        page = visitor.get(path).text
        pages.append(page)
        _, is_more, rest = page.partition(f'<a href="/titles/{title}?before=')
        path = f"/titles/{title}?before={rest.partition(chr(34))[0]}"
    assert not is_more and len(pages) == 3
    assert all(sum(f">ch. {n}<" in page for page in pages) == 1 for n in range(1, 131))


def test_its_history_says_what_changed(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    connection.execute(
        "INSERT INTO manga_changes (manga_id, field, old_value, new_value) VALUES (%s, %s, %s, %s)",
        [title, "status", Jsonb("hiatus"), Jsonb("<b>ongoing")],
    )
    page = website.visitor().get(f"/titles/{title}").text
    assert "<del><bdi>hiatus</bdi></del> → <ins><bdi>&lt;b&gt;ongoing</bdi></ins>" in page


def test_without_chapters_it_says_since_when(website: RunningSite, title: int) -> None:
    page = website.visitor().get(f"/titles/{title}").text
    assert "No chapter has come out since this server first saw the title (Sunday 3 May" in page


def test_a_title_that_is_gone_says_so(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    connection.execute("UPDATE manga SET unavailable_at = now()")
    assert "does not have this title any more" in website.visitor().get(f"/titles/{title}").text


def test_a_reader_sees_what_it_is_to_him_and_nobody_else_does(
    website: RunningSite, connection: sql.Connection, mika: User, title: int
) -> None:
    connection.execute(
        "INSERT INTO user_progress (user_id, manga_id, current_chapter) VALUES (%s, %s, 12)",
        [mika.id, title],
    )
    connection.execute(
        "INSERT INTO library_settings (user_id, manga_id, muted) VALUES (%s, %s, true)",
        [mika.id, title],
    )
    visitor = website.visitor(mika)
    visitor.post(f"/titles/{title}/follow", f"/titles/{title}", follow="1")
    own, other = (
        visitor.get(f"/titles/{title}").text,
        website.visitor().get(f"/titles/{title}").text,
    )
    for words in ("✓ followed", 'value="12"', "unmute"):
        assert words in own and words not in other
    page = f"/titles/{title}"
    answer = visitor.post("/me/library/mute", page, manga=str(title), muted="0", next=page)
    assert (answer.headers["Location"], "unmute" in visitor.get(page).text) == (page, False)
    visitor.post("/me/library/progress", page, manga=str(title), number="15", next=page)
    assert 'value="15"' in visitor.get(page).text


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_finds_nothing_wrong(
    website: RunningSite,
    connection: sql.Connection,
    browser: Browser,
    mika: User,
    title: int,
    size: tuple[int, int],
    scheme: str,
) -> None:
    for number in range(9):
        at = NOW - timedelta(days=number // 3)
        add_chapter(connection, title, str(number), at, ["A Group", "Another"])
    connection.execute(
        "INSERT INTO manga_changes (manga_id, field, old_value, new_value) VALUES (%s, %s, %s, %s)",
        [title, "links", Jsonb({"al": "1"}), Jsonb({"al": "x" * 900})],
    )
    cookies = {COOKIE: website.session_token(mika)}
    with open_tab(browser, website.url, size=size, scheme=scheme, cookies=cookies) as tab:
        tab.open(f"/titles/{title}")
        tab.page.click("summary >> nth=-1")
        tab.check()
        assert not tab.overflows()
