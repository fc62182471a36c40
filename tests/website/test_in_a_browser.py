"""The pages in a browser: what it complains of, keys, without script, and what comes by stream."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

import sql
from readers import keys, sign_in_links
from readers.sessions import open_session
from readers.users import User, add_user
from tests.support.browser import DESKTOP, PHONE, Tab, open_tab
from tests.support.programs import Programs
from tests.support.website import COOKIE, SECRET, RunningSite
from tests.website.streams.conftest import publish
from tests.website.test_program import Site

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)</script>\u202e A Title so Long that It Tells Everything, " + "x" * 120
PAGES = {
    "visitor": ["/", "/titles", "/titles?q=bleu", "/titles/1", "/about", "/sign-in", "/nowhere"],
    "reader": [
        *("/", "/?scope=all", "/?unread=1", "/titles", "/titles/1", "/titles/2", "/me/inbox"),
        *("/me/library", "/me/preferences", "/me/devices", "/me/import", "/me/feeds"),
        *("/me/suggestions", "/calendar", "/calendar?scope=all", "/about"),
    ],
    "operator": ["/", "/health", "/me/library"],
}


@pytest.fixture
def filled(website: RunningSite, connection: sql.Connection, mika: User) -> RunningSite:
    """A site with titles, chapters, and a reader who follows some and was told of them."""
    connection.execute(
        "INSERT INTO manga (title, slug, status, mangadex_id, description)"
        " SELECT CASE n WHEN 2 THEN %s ELSE 'Blue Lantern ' || n END, 's' || n, 'ongoing',"
        " gen_random_uuid(), 'A story.' FROM generate_series(1, 9) n",
        [HOSTILE],
    )
    connection.execute(
        "INSERT INTO chapters (manga_id, chapter_number, published_at, mangadex_chapter_id,"
        " translated_language) SELECT m, c, now() - m * interval '7 hours', gen_random_uuid(),"
        " CASE c WHEN 3 THEN 'vi' ELSE 'en' END"
        " FROM generate_series(1, 9) m, generate_series(1, 3) c"
    )
    connection.execute(
        "INSERT INTO scanlation_groups SELECT gen_random_uuid(), 'Team ' || n"
        " FROM generate_series(1, 3) n"
    )
    connection.execute(
        "INSERT INTO chapter_groups SELECT c.id, g.id FROM chapters c, scanlation_groups g"
    )
    connection.execute(
        "INSERT INTO release_days SELECT m, 'en', current_date - m - 7 * w"
        " FROM generate_series(1, 5) m, generate_series(0, 9) w"
    )
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id) SELECT %s, n FROM generate_series(1, 5) n",
        [mika.id],
    )
    connection.execute(
        "INSERT INTO notifications (user_id, type, manga_id, title, message, read, data)"
        " SELECT %s, 'NEW_CHAPTER', id, title, 'New chapter 1 available', id > 3,"
        """ '{"data": {"chapter": 1, "language": "en", "url": "https://mangadex.org/chapter/x"}}'"""
        " FROM manga WHERE id <= 5",
        [mika.id],
    )
    return website


@pytest.fixture
def tab(filled: RunningSite, browser: Browser, mika: User) -> Iterator[Tab]:
    """A tab of a reader who is signed in."""
    cookies = {COOKIE: filled.session_token(mika)}
    with open_tab(browser, filled.url, cookies=cookies) as opened:
        yield opened


@pytest.mark.parametrize("who", PAGES)
@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")])
def test_nothing_is_wrong_with_any_page(
    filled: RunningSite,
    browser: Browser,
    connection: sql.Connection,
    mika: User,
    who: str,
    size: tuple[int, int],
    scheme: str,
) -> None:
    cookies = {}
    if who == "operator":
        connection.execute("UPDATE users SET role = 'admin'")
    if who != "visitor":
        cookies = {COOKIE: filled.session_token(mika)}
    with open_tab(browser, filled.url, size=size, scheme=scheme, cookies=cookies) as tab:
        for path in PAGES[who]:
            tab.open(path)
            if path == "/nowhere":
                tab.faults.clear()  # the browser notes that the page is not there
            tab.check()
            assert not tab.overflows(), path


def focused(tab: Tab) -> str:
    return str(tab.page.evaluate("document.activeElement.textContent.trim()"))


def test_keys_move_open_and_search(tab: Tab) -> None:
    tab.open("/?scope=all")
    press = tab.page.keyboard.press
    press("j")
    assert focused(tab) == "Blue Lantern 1"
    press("j")
    press("k")
    assert focused(tab) == "Blue Lantern 1"
    press("/")
    assert tab.page.evaluate("document.activeElement.id") == "q"
    press("j")  # in a field a key is a letter
    assert tab.page.locator("#q").input_value() == "j"
    press("Tab")
    press("?")
    expect(tab.page.locator("#keys-help")).to_be_visible()
    press("Escape")
    expect(tab.page.locator("#keys-help")).not_to_be_visible()
    press("j")
    press("o")
    tab.page.wait_for_url("**/titles/1-s1")
    press("g")
    press("i")
    tab.page.wait_for_url("**/me/inbox")
    tab.check()


def test_keys_mark_undo_and_can_be_switched_off(tab: Tab, connection: sql.Connection) -> None:
    def unread() -> int:
        row = connection.execute("SELECT count(*) FROM notifications WHERE NOT read").fetchone()
        return int(row[0]) if row else -1

    tab.open("/me/inbox")
    for key, left in (("j", 3), ("m", 2), ("u", 3), ("A", 0), ("u", 3)):
        if key == "j":
            tab.page.keyboard.press(key)
            continue
        with tab.page.expect_navigation():
            tab.page.keyboard.press(key)
        assert unread() == left
    tab.page.get_by_role("button", name="switch off").click()
    tab.page.keyboard.press("g")
    tab.page.keyboard.press("n")
    assert tab.page.url.endswith("/me/inbox") or "/me/inbox?" in tab.page.url
    tab.check()


def test_tab_reaches_the_content_first_and_shows_where_it_is(tab: Tab) -> None:
    tab.open("/")
    tab.page.keyboard.press("Tab")
    assert focused(tab) == "Skip to the content"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.page.evaluate(outline) == "solid"
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Tab")
    inside = "document.querySelector('main').contains(document.activeElement)"
    assert tab.page.evaluate(inside)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_first_paint_has_the_chosen_colours(tab: Tab, theme: str) -> None:
    other = "dark" if theme == "light" else "light"
    tab.page.emulate_media(color_scheme="dark" if other == "dark" else "light")
    tab.open("/about")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = tab.page.evaluate(paper)
    tab.page.get_by_role("button", name=theme, exact=True).click()
    tab.page.wait_for_selector(f"html[data-theme={theme}]")
    assert tab.page.evaluate(paper) != before
    tab.check()


def test_all_of_it_works_without_script(
    filled: RunningSite, browser: Browser, connection: sql.Connection
) -> None:
    noor = add_user(connection, "noor", None, None)
    with open_tab(browser, filled.url, script=False) as tab:
        page = tab.page
        tab.open(f"/sign-in/{sign_in_links.make_link(connection, noor)}")
        page.get_by_role("button", name="Sign in as noor").click()
        expect(page.get_by_text("You follow no title yet.")).to_be_visible()
        page.get_by_label("Follow a title").fill("Blue Lantern 1")
        page.get_by_role("button", name="Follow", exact=True).click()
        expect(page.get_by_role("status").get_by_text("is in your library")).to_be_visible()
        page.get_by_label("read up to").fill("1")
        page.get_by_role("button", name="save").click()
        expect(page.get_by_text("you are 2 behind")).to_be_visible()
        page.get_by_role("link", name="New", exact=True).click()
        row = page.get_by_role("main").get_by_role("listitem").filter(has_text="ch. 1–2 (2)")
        expect(row.get_by_role("link", name="Blue Lantern 1", exact=True)).to_be_visible()
        page.get_by_text("noor", exact=True).click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("Name").fill("noor")
        page.get_by_label("Key", exact=True).fill(keys.user_key(connection, SECRET, noor))
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("noor", exact=True)).to_be_visible()
        assert not tab.faults


def test_what_comes_is_said_without_moving_the_list(
    programs: Programs, database_url: str, browser: Browser, connection: sql.Connection, mika: User
) -> None:
    row = connection.execute("INSERT INTO manga (title) VALUES ('Blue') RETURNING id").fetchone()
    assert row
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", [mika.id, row[0]]
    )
    site = Site(programs, database_url)
    cookies = {COOKIE: open_session(connection, mika, "")}
    with open_tab(browser, site.url, cookies=cookies) as tab:
        with tab.page.expect_request(re.compile(r"/events\?ticket=")):
            tab.open("/")
        pill = tab.page.locator("#pill")
        for _ in range(50):  # the stream may not have begun when the first one is published
            publish(connection, row[0], 1)
            tab.page.wait_for_timeout(200)
            if pill.is_visible():
                break
        expect(pill).to_have_text(re.compile(r"\d+ new – show"))
        expect(tab.page.locator("[data-unread]")).to_be_visible()
        connection.execute("UPDATE notifications SET read = true")
        expect(tab.page.locator("[data-unread]")).not_to_be_visible()
        tab.check()
    assert site.end()[0] == 0
