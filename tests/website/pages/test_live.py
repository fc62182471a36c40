"""Pages that are open: what comes is told without moving anything, in a real browser."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

import sql
from mangahub.sockets import listening, shown
from readers.users import User
from tests.support.browser import DESKTOP, open_tab
from tests.support.website import COOKIE, SECRET, RunningSite, running_site
from tests.website.streams.conftest import Running, publish

pytestmark = pytest.mark.slow


@pytest.fixture
def manga_id(connection: sql.Connection, mika: User) -> int:
    row = connection.execute(
        "INSERT INTO manga (slug, title) VALUES ('lantern', 'Blue Lantern') RETURNING id"
    ).fetchone()
    assert row is not None
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", [mika.id, row[0]]
    )
    return int(row[0])


@pytest.fixture
def live_site(database_url: str) -> Iterator[tuple[RunningSite, Running]]:
    """Pages and streams that know each other."""
    sock = listening(socket.SOCK_STREAM, "127.0.0.1", 0)
    where = shown(sock)
    with running_site(database_url, streams_at=where, WEB_STREAM_URL=f"http://{where}") as site:
        streams = Running(database_url, secret=SECRET, origin=site.url, sock=sock)
        yield site, streams
        streams.stop()


@pytest.fixture
def page(live_site: tuple[RunningSite, Running], browser: Browser, mika: User) -> Iterator[Page]:
    site, streams = live_site
    cookies = {COOKIE: site.session_token(mika)}
    with open_tab(browser, site.url, size=DESKTOP, cookies=cookies) as tab:
        tab.open("/me/inbox")
        wait_for_stream(tab.page, streams)
        yield tab.page
        tab.check()


def wait_for_stream(page: Page, streams: Running, count: int = 1) -> None:
    for _ in range(300):
        if streams.server.count == count:
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{streams.server.count} streams, not {count}")


def test_a_page_says_how_much_is_new_and_stays_as_it_is(
    page: Page,
    live_site: tuple[RunningSite, Running],
    connection: sql.Connection,
    manga_id: int,
) -> None:
    site, streams = live_site
    page.goto(site.url + "/")
    wait_for_stream(page, streams)
    pill = page.locator("#pill")
    expect(pill).to_be_hidden()
    for number in (1, 2, 3):
        publish(connection, manga_id, number)
    expect(pill).to_have_text("3 new – show")
    expect(page.locator("[data-unread]")).to_have_text("● 3 unread")
    assert page.title().startswith("(3) ")


def test_what_is_marked_elsewhere_is_seen(
    page: Page,
    live_site: tuple[RunningSite, Running],
    connection: sql.Connection,
    manga_id: int,
) -> None:
    site, streams = live_site
    publish(connection, manga_id, 1)
    page.goto(site.url + "/me/inbox")
    wait_for_stream(page, streams)
    row = page.locator("[data-row]")
    expect(row.locator(".state")).to_have_text("●new")
    connection.execute("UPDATE notifications SET read = true")
    expect(row.locator(".state")).to_have_text("○read")
    expect(page.locator("[data-unread]")).to_be_hidden()
    connection.execute("UPDATE notifications SET read = false")
    expect(row.locator(".state")).to_have_text("●new")
    expect(page.locator("[data-unread]")).to_have_text("● 1 unread")


def test_a_page_that_was_cut_off_continues(
    page: Page,
    live_site: tuple[RunningSite, Running],
    connection: sql.Connection,
    database_url: str,
    manga_id: int,
) -> None:
    site, streams = live_site
    streams.stop()
    publish(connection, manga_id, 1)
    again = Running(database_url, streams.address[1], secret=SECRET, origin=site.url)
    try:
        expect(page.locator("[data-unread]")).to_have_text("● 1 unread", timeout=20_000)
    finally:
        again.stop()


def test_a_page_that_is_not_seen_holds_no_stream(
    page: Page, live_site: tuple[RunningSite, Running]
) -> None:
    _, streams = live_site
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true")
    wait_for_stream(page, streams, 0)
    page.evaluate(hide % "false")
    wait_for_stream(page, streams, 1)
