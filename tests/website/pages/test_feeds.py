"""Feeds and calendars: valid whatever titles hold, conditional, and private if they should be."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import icalendar
import pytest
import requests
import vobject
from playwright.sync_api import Browser
from psycopg.types.json import Jsonb

import sql
from readers.users import User, add_user
from tests.support.atom import ATOM, checked
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.catalogue import add_chapter, add_title
from tests.support.website import COOKIE, SECRET, RunningSite, running_site
from website.store.private_addresses import list_addresses

HOSTILE = (
    "\u202e<script>&amp;]]>\x07\x1b\uffff\ufffe[31m \"q\" 'a' ;,\\n \N{GRINNING FACE} "
    + "wide " * 50
)
TODAY = datetime.now(UTC).date()


@pytest.fixture
def title(connection: sql.Connection, mika: User) -> int:
    found = add_title(connection, "Blue Lantern", status="ongoing")
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", [mika.id, found]
    )
    return found


def release(connection: sql.Connection, title: int, *days_ago: int) -> None:
    for ago in days_ago:
        connection.execute(
            "INSERT INTO release_days (manga_id, translated_language, released_on)"
            " VALUES (%s, 'en', %s)",
            [title, TODAY - timedelta(days=ago)],
        )


def notify(connection: sql.Connection, user: User, title: int, message: str, **data: Any) -> None:
    connection.execute(
        "INSERT INTO notifications (user_id, type, manga_id, title, message, data, event_id, read)"
        " VALUES (%s, 'NEW_CHAPTER', %s, 'Blue Lantern', %s, %s, %s, false)",
        [user.id, title, message, Jsonb({"data": data, "changes": []}), uuid.uuid4().hex],
    )


def addresses(connection: sql.Connection, user: User) -> dict[Any, str]:
    return list_addresses(connection, SECRET, user)


def test_a_feed_of_all_titles_is_valid_atom(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    hostile = add_title(connection, HOSTILE)
    at = datetime.now(UTC) - timedelta(hours=2)
    upload = uuid.uuid4()
    add_chapter(connection, title, "181", at, ["Team Heron"], mangadex_chapter_id=upload)
    add_chapter(connection, hostile, "1", at, [HOSTILE], title=HOSTILE, external_url="javascript:1")
    add_chapter(connection, title, "180", at - timedelta(days=1))
    add_chapter(connection, title, "182", at + timedelta(days=9))
    answer = website.visitor().get("/feeds/all.atom")
    assert answer.headers["Content-Type"].startswith("application/atom+xml")
    feed = checked(answer.content)
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 3 and b"javascript:" not in answer.content
    entry = next(e for e in entries if e.findtext(f"{ATOM}title") == "Blue Lantern: ch. 181")
    assert [link.get("href") for link in entry.findall(f"{ATOM}link")] == [
        f"https://mangadex.org/chapter/{upload}"
    ]
    assert entry.findtext(f"{ATOM}author/{ATOM}name") == "Team Heron"


@pytest.mark.parametrize("path", ["/feeds/all.atom", "/titles/{id}.atom"])
def test_a_feed_without_entries_is_valid_and_does_not_change(
    website: RunningSite, title: int, path: str
) -> None:
    visitor = website.visitor()
    first, second = (visitor.get(path.format(id=title)) for _ in range(2))
    checked(first.content)
    assert first.content == second.content


def test_an_id_stays_and_a_corrected_chapter_moves_no_entry(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    chapter = add_chapter(connection, title, "181", datetime.now(UTC))
    visitor = website.visitor()

    def ids() -> list[str | None]:
        feed = checked(visitor.get(f"/titles/{title}.atom").content)
        return [entry.findtext(f"{ATOM}id") for entry in feed.findall(f"{ATOM}entry")]

    before = ids()
    connection.execute("UPDATE chapters SET chapter_number = 182 WHERE id = %s", [chapter])
    assert ids() == before


def test_names_of_nothing_that_can_be_shown_are_left_out(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    add_chapter(connection, title, "1", datetime.now(UTC), ["\x07", "\uffff"])
    checked(website.visitor().get("/feeds/all.atom").content)
    (item,) = website.visitor().get("/feeds/all.json").json()["items"]
    assert "authors" not in item


def test_the_same_as_json_feed(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    add_chapter(connection, title, "10.5", datetime.now(UTC), ["A", "B"], title="")
    answer = website.visitor().get("/feeds/all.json")
    body = answer.json()
    assert body["version"] == "https://jsonfeed.org/version/1.1"
    assert body["feed_url"] == f"{website.url}/feeds/all.json"
    (item,) = body["items"]
    assert item["title"] == "Blue Lantern: ch. 10.5" and item["language"] == "en"
    assert item["authors"] == [{"name": "A"}, {"name": "B"}] and item["id"].startswith("urn:uuid:")


def test_who_has_it_already_is_sent_nothing(
    website: RunningSite, connection: sql.Connection, mika: User, title: int
) -> None:
    own = addresses(connection, mika)
    release(connection, title, 0, 7, 14, 21)
    paths = ["/feeds/all.atom", f"/feeds/{own['news']}/news.json"]
    paths.append(f"/feeds/{own['calendar']}/calendar.ics")
    for path in paths:
        first = website.visitor().get(path)
        etag = first.headers["ETag"]
        again = website.visitor().get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b""), path
    notify(connection, mika, title, "New chapter 1 available")
    news = website.visitor().get(paths[1], headers={"If-None-Match": "W/x"})
    assert news.status_code == 200


def test_a_chapter_that_was_found_late_is_sent_to_who_asks_by_date(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    now = datetime.now(UTC)
    add_chapter(connection, title, "8", now - timedelta(hours=2))
    connection.execute("UPDATE chapters SET created_at = now() - interval '1 hour'")
    path, visitor = f"/titles/{title}.atom", website.visitor()
    since = {"If-Modified-Since": visitor.get(path).headers["Last-Modified"]}
    assert visitor.get(path, headers=since).status_code == 304
    add_chapter(connection, title, "7", now - timedelta(days=3))
    answer = visitor.get(path, headers=since)
    assert answer.status_code == 200 and b"ch. 7" in answer.content


def test_private_news_are_the_readers_notifications(
    website: RunningSite, connection: sql.Connection, mika: User, title: int
) -> None:
    other = add_user(connection, "ren", None, None)
    url = "https://mangadex.org/chapter/x"
    notify(connection, mika, title, "New chapter 5 available", groups=["G"], url=url, language="vi")
    notify(connection, mika, title, HOSTILE, groups=[1, None], url="javascript:1", language=5)
    notify(connection, other, title, "not for mika")
    own = addresses(connection, mika)["news"]
    body = website.visitor().get(f"/feeds/{own}/news.json").json()
    assert [item["title"][:30] for item in body["items"]][1] == "Blue Lantern: New chapter 5 av"
    assert body["items"][1]["url"] == url and body["items"][1]["language"] == "vi"
    assert body["items"][0]["url"] == f"{website.url}/titles/{title}"
    feed = checked(website.visitor().get(f"/feeds/{own}/news.atom").content)
    assert len(feed.findall(f"{ATOM}entry")) == 2
    assert own not in json.dumps(body["items"]) and str(mika.id) not in json.dumps(body["items"])


def test_a_private_address_needs_no_session_and_gives_none(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    own = addresses(connection, mika)["news"]
    headers = {"Origin": "https://elsewhere.example"}
    answer = requests.get(f"{website.url}/feeds/{own}/news.atom", headers=headers, timeout=20)
    assert answer.status_code == 200
    assert not answer.cookies and "Set-Cookie" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("form", ["news.atom", "news.json", "calendar.ics"])
def test_wrong_addresses_are_not_found(
    website: RunningSite, connection: sql.Connection, mika: User, form: str
) -> None:
    own = addresses(connection, mika)
    kind = form.partition(".")[0]
    right, other_kind = own[kind], own["events"]
    wrong = ["x", "a" * 58, right[:-1] + ("a" if right[-1] != "a" else "b"), other_kind, right[1:]]
    wrong += ["%00" * 20, "é" * 58, right + "a", "A" * 5000]
    for text in wrong:
        assert website.visitor().get(f"/feeds/{text}/{form}").status_code == 404, text[:60]
    assert website.visitor().get(f"/feeds/{right}/{form}").status_code == 200


def test_renewing_makes_the_old_address_worthless_and_touches_no_other(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    before = addresses(connection, mika)
    visitor = website.visitor(mika)
    answer = visitor.post("/me/feeds/renew", "/me/feeds", kind="news")
    assert answer.status_code == 303
    page = visitor.get(answer.headers["Location"]).text
    after = addresses(connection, mika)
    assert after["news"] in page and "worthless now" in page
    assert after["news"] != before["news"] and after["calendar"] == before["calendar"]
    assert website.visitor().get(f"/feeds/{before['news']}/news.atom").status_code == 404
    assert website.visitor().get(f"/feeds/{after['news']}/news.atom").status_code == 200
    assert visitor.post("/me/feeds/renew", "/me/feeds", kind="x").status_code == 400


def test_without_visitors_public_feeds_are_closed_and_private_ones_are_not(
    database_url: str, connection: sql.Connection, mika: User, title: int
) -> None:
    own = addresses(connection, mika)["news"]
    with running_site(database_url, WEB_VISITORS="off") as site:
        for path in ("/feeds/all.atom", "/feeds/all.json", f"/titles/{title}.atom"):
            assert site.visitor().get(path).status_code == 302
        assert site.visitor().get(f"/feeds/{own}/news.atom").status_code == 200


def test_the_secret_stands_in_no_log(
    website: RunningSite,
    connection: sql.Connection,
    mika: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = addresses(connection, mika)["news"]
    connection.execute("ALTER TABLE notifications RENAME TO elsewhere")
    assert website.visitor().get(f"/feeds/{own}/news.atom").status_code == 500
    assert "Unexpected error path=/feeds/***/news.atom" in caplog.text
    assert own not in caplog.text.replace("\n", "")
    caplog.clear()


def test_a_calendar_says_what_came_and_what_may_come(
    website: RunningSite, connection: sql.Connection, mika: User, title: int
) -> None:
    hostile = add_title(connection, HOSTILE, status="ongoing")
    late = add_title(connection, "Late One", status="ongoing")
    for each in (hostile, late):
        connection.execute(
            "INSERT INTO user_library (user_id, manga_id) VALUES (%s, %s)", [mika.id, each]
        )
    release(connection, title, 1, 8, 15, 22, 29, 36)
    release(connection, hostile, 0, 10, 30, 33)
    release(connection, late, 20, 27, 34, 41)
    own = addresses(connection, mika)["calendar"]
    answer = website.visitor().get(f"/feeds/{own}/calendar.ics")
    assert answer.headers["Content-Type"].startswith("text/calendar")
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT6H" in answer.content
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    events = events_of(answer.content)
    assert events[("Blue Lantern", TODAY + timedelta(days=6))].startswith("Expected")
    assert ("Blue Lantern", TODAY - timedelta(days=29)) in events
    assert ("Blue Lantern", TODAY - timedelta(days=36)) not in events
    assert not [day for name, day in events if name == "Late One" and day > TODAY]
    seconds = vobject.readOne(answer.content.decode()).contents["vevent"]
    assert len(seconds) == len(events)
    assert website.visitor().get(f"/feeds/{own}/calendar.ics").content == answer.content


def test_a_calendar_names_days_that_stay_true_and_leaves_out_what_is_muted(
    website: RunningSite, connection: sql.Connection, mika: User, title: int
) -> None:
    release(connection, title, 0, 1, 2, 3)
    path = f"/feeds/{addresses(connection, mika)['calendar']}/calendar.ics"
    tomorrow = TODAY + timedelta(days=1)
    events = events_of(website.visitor().get(path).content)
    said = f"Expected {tomorrow.day} {tomorrow:%B}: likely, daily, 3 of 3."
    assert events[("Blue Lantern", tomorrow)] == said
    connection.execute(
        "INSERT INTO library_settings (user_id, manga_id, muted) VALUES (%s, %s, true)",
        [mika.id, title],
    )
    assert not events_of(website.visitor().get(path).content)


@pytest.mark.parametrize("odd", ["-infinity", "infinity", "0044-03-15 BC", "9999-12-31"])
def test_a_day_that_cannot_be_costs_no_other_anything(
    website: RunningSite, connection: sql.Connection, mika: User, title: int, odd: str
) -> None:
    release(connection, title, 1, 8, 15, 22)
    connection.execute("INSERT INTO release_days VALUES (%s, 'en', %s)", [title, odd])
    assert website.visitor().get(f"/titles/{title}.json").json()["next"]["state"] == "likely"
    assert website.visitor(mika).get("/calendar").status_code == 200


def events_of(document: bytes) -> dict[tuple[str, date], str]:
    calendar: Any = icalendar.Calendar.from_ical(document)
    events = calendar.walk("VEVENT")
    uids = [str(event["UID"]) for event in events]
    assert len(uids) == len(set(uids)) and all(event["DTSTAMP"] for event in events)
    return {
        (str(event["SUMMARY"]), event["DTSTART"].dt): str(event["DESCRIPTION"]) for event in events
    }


def test_a_titles_facts_as_json(
    website: RunningSite, connection: sql.Connection, title: int
) -> None:
    release(connection, title, 1, 8, 15, 22)
    body = website.visitor().get(f"/titles/{title}.json").json()
    day = (TODAY + timedelta(days=6)).isoformat()
    weekday = f"{TODAY - timedelta(days=1):%A}"
    assert body["title"] == "Blue Lantern" and body["next"] == {
        "expected": day,
        "from": day,
        "to": day,
        "state": "likely",
        "why": f"weekly on {weekday}, 4 of 4",
    }
    assert website.visitor().get("/titles/999.json").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_finds_nothing_wrong(
    website: RunningSite, browser: Browser, mika: User, size: tuple[int, int], scheme: str
) -> None:
    cookies = {COOKIE: website.session_token(mika)}
    with open_tab(browser, website.url, size=size, scheme=scheme, cookies=cookies) as tab:
        tab.open("/me/feeds")
        tab.check()
        assert not tab.overflows()
        assert tab.page.locator("[data-copy]").first.is_visible()
