"""The Import page: a list comes, what is doubtful is decided, and a list leaves."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

import sql
from readers.users import User, add_user
from tests.support import lists
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.website import COOKIE, RunningSite, Visitor, form_token
from website.pages import lists as pages
from website.pages.lists import MOST_BYTES


@pytest.fixture
def add_title(connection: sql.Connection) -> Callable[..., int]:
    def add(title: str, id: uuid.UUID | None = None) -> int:
        row = connection.execute(
            "INSERT INTO manga (slug, title, mangadex_id) VALUES (%s, %s, %s) RETURNING id",
            [str(uuid.uuid4()), title, str(id or uuid.uuid4())],
        ).fetchone()
        assert row is not None
        return int(row[0])

    return add


def send(visitor: Visitor, content: bytes, **fields: str) -> requests.Response:
    """Send a file as a browser does."""
    token = form_token(visitor.get("/me/import").text)
    return visitor.http.post(
        f"{visitor.url}/me/import",
        data={"form_token": token, **fields},
        files={"list": ("list", content)},
        headers={"Origin": visitor.url},
        timeout=60,
        allow_redirects=False,
    )


def library(connection: sql.Connection) -> list[str]:
    query = "SELECT title FROM user_library JOIN manga ON manga.id = manga_id ORDER BY title"
    return [title for (title,) in connection.execute(query.encode())]


def entry_of(html: str) -> str:
    found = re.search(r'name="entry" value="(\d+)"', html)
    assert found
    return found[1]


def test_a_file_fills_the_library_and_counts_are_shown(
    website: RunningSite, connection: sql.Connection, mika: User, add_title: Any
) -> None:
    add_title("Blue")
    visitor = website.visitor(mika)
    answer = send(visitor, b"title,status\nBlue,reading\nNobody,\n")
    assert answer.status_code == 303
    page = visitor.get(answer.headers["Location"])
    assert "1 added, 0 already there, 1 not found" in page.text
    assert library(connection) == ["Blue"]
    assert "not found (1)" in page.text and "<bdi>Nobody</bdi>" in page.text


def test_a_backup_is_read_and_pasted_text_too(
    website: RunningSite, connection: sql.Connection, mika: User, add_title: Any
) -> None:
    id = uuid.uuid4()
    add_title("Blue", id)
    add_title("Red")
    visitor = website.visitor(mika)
    assert send(visitor, lists.backup(lists.manga(f"/manga/{id}", "Blue"))).status_code == 303
    assert visitor.post("/me/import", "/me/import", text="Red\r\nNobody\r\n").status_code == 303
    assert library(connection) == ["Blue", "Red"]


def test_only_showing_changes_nothing(
    website: RunningSite, connection: sql.Connection, mika: User, add_title: Any
) -> None:
    add_title("Blue")
    page = send(website.visitor(mika), b"Blue\nNobody\n", look="1")
    assert page.status_code == 200
    assert "What would be done" in page.text and "1 unmatched" in page.text
    assert library(connection) == []
    row = connection.execute("SELECT count(*) FROM import_entries").fetchone()
    assert row == (0,)


def test_a_doubtful_entry_is_decided_by_its_reader_for_good(
    website: RunningSite, connection: sql.Connection, mika: User, add_title: Any
) -> None:
    ids = [add_title("Home"), add_title("Home")]
    visitor = website.visitor(mika)
    send(visitor, b"title,progress\nHome,7\n")
    page = visitor.get("/me/import").text
    assert "to decide (1)" in page and page.count("This one</button>") == 2
    chosen = {"entry": entry_of(page), "manga": str(ids[1]), "show": "doubtful"}
    answer = visitor.post("/me/import/decide", "/me/import", **chosen)
    assert answer.status_code == 303
    assert "Home</bdi> is in your library" in visitor.get(answer.headers["Location"]).text
    rows = connection.execute("SELECT manga_id, current_chapter FROM user_progress").fetchall()
    assert rows == [(ids[1], 7)]
    assert visitor.post("/me/import/decide", "/me/import", **chosen).status_code == 409
    again = send(visitor, b"title,progress\nHome,7\n")
    assert "0 added, 1 already there." in visitor.get(again.headers["Location"]).text


def test_not_this_is_final_too(
    website: RunningSite, connection: sql.Connection, mika: User, add_title: Any
) -> None:
    add_title("Home")
    add_title("Home")
    visitor = website.visitor(mika)
    send(visitor, b"Home\n")
    entry = entry_of(visitor.get("/me/import").text)
    visitor.post("/me/import/decide", "/me/import", entry=entry, manga="none")
    send(visitor, b"Home\n")
    assert library(connection) == []
    assert "Not matched yet" not in visitor.get("/me/import").text


def test_an_entry_is_searched_for_by_other_words(
    website: RunningSite, connection: sql.Connection, mika: User, add_title: Any
) -> None:
    id = add_title("The 100%_Blue Lantern")
    visitor = website.visitor(mika)
    send(visitor, b"Blaue Laterne\n")
    entry = entry_of(visitor.get("/me/import").text)
    assert "No title here" in visitor.get(f"/me/import?entry={entry}&q=1000%25").text
    page = visitor.get(f"/me/import?entry={entry}&q=lantern+100%25_").text
    assert f'name="manga" value="{id}"' in page
    visitor.post("/me/import/decide", "/me/import", entry=entry, manga=str(id))
    assert library(connection) == ["The 100%_Blue Lantern"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"entry": "x", "manga": "1"}, 400),
        ({"entry": "1"}, 400),
        ({"entry": "1", "manga": "9" * 30}, 400),
        ({"entry": "999", "manga": "none"}, 409),
        ({"entry": "{entry}", "manga": "999"}, 409),
    ],
)
def test_wrong_decisions_change_nothing(
    website: RunningSite, mika: User, fields: dict[str, str], status: int
) -> None:
    visitor = website.visitor(mika)
    send(visitor, b"Home\n")
    entry = entry_of(visitor.get("/me/import").text)
    given = {name: value.format(entry=entry) for name, value in fields.items()}
    assert visitor.post("/me/import/decide", "/me/import", **given).status_code == status
    assert "not found (1)" in visitor.get("/me/import").text


def test_nobody_decides_another_one_s_entries(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    send(website.visitor(mika), b"Home\n")
    other = website.visitor(add_user(connection, "noa", None, None))
    row = connection.execute("SELECT id FROM import_entries").fetchone()
    assert row is not None
    fields = {"entry": str(row[0]), "manga": "none"}
    assert other.post("/me/import/decide", "/me/import", **fields).status_code == 409
    assert "Home" not in other.get("/me/import").text
    assert "Home" not in other.get("/me/import/not-found.csv").text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "choose a file|the file is empty"),
        (b"\xff\xd8\xff", "JPEG picture"),
        (b"<!DOCTYPE x><myanimelist/>", "DOCTYPE"),
        (lists.backup(lists.manga("/manga/1", "One"))[:-9], "half-way"),
    ],
)
def test_what_is_no_list_is_said_on_the_page(
    website: RunningSite, mika: User, content: bytes, words: str
) -> None:
    answer = send(website.visitor(mika), content)
    assert answer.status_code == 400
    assert re.search(words, answer.text) and "Bring a list" in answer.text


def test_too_large_a_file_is_refused(website: RunningSite, mika: User) -> None:
    visitor = website.visitor(mika)
    many = send(visitor, b"A\n" * (MOST_BYTES // 4))
    assert many.status_code == 400 and "more than 100,000 entries" in many.text
    assert send(visitor, bytes(MOST_BYTES + 70_000)).status_code == 413


def test_a_list_too_many_at_once_is_to_be_sent_again(
    website: RunningSite, mika: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = website.visitor(mika)
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr(pages, "_TURNS", turns)
    monkeypatch.setattr(pages, "_WAIT_S", 0.01)
    with turns:
        answer = send(visitor, b"A\n")
    assert answer.status_code == 503 and "send yours again" in answer.text
    assert send(visitor, b"A\n").status_code == 303


@pytest.mark.parametrize("format", ["csv", "json", "mal", "mihon"])
def test_the_library_is_downloaded(
    website: RunningSite, connection: sql.Connection, mika: User, add_title: Any, format: str
) -> None:
    add_title("Blue")
    visitor = website.visitor(mika)
    send(visitor, b"Blue\n")
    answer = visitor.get(f"/me/import/export/{format}")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="library.')
    assert visitor.get("/me/import/export/epub").status_code == 404


def test_what_was_not_found_is_downloaded_and_brought_again(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    visitor = website.visitor(mika)
    send(visitor, b"title,status,progress,mal\n=Nobody,dropped,3.5,7\n")
    answer = visitor.get("/me/import/not-found.csv")
    assert answer.text.splitlines()[1] == "'=Nobody,,dropped,3.50,,,7,,,"
    before = connection.execute("SELECT * FROM import_entries").fetchall()
    send(visitor, answer.content)
    assert connection.execute("SELECT * FROM import_entries").fetchall() == before


def test_the_page_is_for_readers_and_forms_are_ours(website: RunningSite, mika: User) -> None:
    stranger = website.visitor()
    for path in ("", "/export/csv", "/not-found.csv"):
        answer = stranger.get(f"/me/import{path}")
        assert answer.status_code == 302 and "/sign-in" in answer.headers["Location"]
    answer = requests.post(
        f"{website.url}/me/import", files={"list": b"A"}, cookies={COOKIE: "x"}, timeout=20
    )
    assert answer.status_code == 403


def test_many_entries_are_paged(website: RunningSite, mika: User) -> None:
    visitor = website.visitor(mika)
    send(visitor, "".join(f"Nobody {n}\n" for n in range(60)).encode())
    page, seen = visitor.get("/me/import?show=unmatched").text, []
    for _ in range(5):
        seen += re.findall(r"<h3><bdi>(.*?)</bdi>", page)
        found = re.search(r'href="([^"]+)" rel="next"', page)
        if not found:
            break
        page = visitor.get(found[1].replace("&amp;", "&").partition("#")[0]).text
    assert seen == [f"Nobody {n}" for n in range(60)]


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_a_browser_brings_a_list_and_decides(
    website: RunningSite,
    browser: Browser,
    connection: sql.Connection,
    mika: User,
    add_title: Any,
    script: bool,
) -> None:
    for title in ("Home", "Home", "<b>Blue</b>"):
        add_title(title)
    cookies = {COOKIE: website.session_token(mika)}
    content = b"title,status\nHome,reading\n<b>Blue</b>,\nNobody at All,\n"
    for size in (PHONE, DESKTOP):
        with open_tab(browser, website.url, size=size, cookies=cookies, script=script) as tab:
            tab.open("/me/import")
            file: Any = {"name": "list.csv", "mimeType": "text/csv", "buffer": content}
            tab.page.set_input_files("#list", file)
            tab.page.click("text=Only show what would be done")
            tab.page.wait_for_selector("#report")
            assert not tab.overflows()
            tab.open("/me/import")
            tab.page.set_input_files("#list", file)
            tab.page.click("button.main")
            tab.page.wait_for_selector(".notice.good")
            assert not tab.overflows()
            if script:
                tab.check()
    with open_tab(browser, website.url, cookies=cookies, script=script) as tab:
        tab.open("/me/import")
        if script:
            large: Any = {**file, "buffer": bytes(MOST_BYTES + 1)}
            tab.page.set_input_files("#list", large)
            message = tab.page.eval_on_selector("#list", "input => input.validationMessage")
            assert message == "This file is larger than 16 MiB."
            tab.page.set_input_files("#list", [])
        tab.page.click("text=This one >> nth=0")
        tab.page.wait_for_selector("text=is in your library")
    assert library(connection) == ["<b>Blue</b>", "Home"]
