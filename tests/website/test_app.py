"""The application: headers, errors, forms."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from readers.users import User
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.website import COOKIE, RunningSite, form_token, running_site

PATHS = ["/", "/about", "/healthz", "/readyz", "/robots.txt", "/static/site.css", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers_that_keep_readers_safe(
    website: RunningSite, path: str
) -> None:
    headers = website.visitor().get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize(
    ("settings", "streams", "https"),
    [
        ({}, "http://127.0.0.1:", False),
        ({"WEB_URL": "https://Hub.example:443"}, "https://hub.example:", True),
        ({"WEB_STREAM_URL": "https://s.example/a/b"}, "https://s.example;", False),
        ({"WEB_URL": "http://[::1]:80"}, "http://[::1]:", False),
    ],
)
def test_pages_may_open_streams_where_they_are_and_nothing_else(
    database_url: str, settings: dict[str, Any], streams: str, https: bool
) -> None:
    with running_site(database_url, **settings) as site:
        headers = site.visitor().get("/about").headers
    assert f"connect-src 'self' {streams}" in headers["Content-Security-Policy"]
    assert ("Strict-Transport-Security" in headers) == https


def test_a_form_comes_from_here_also_where_the_usual_port_is_written(database_url: str) -> None:
    with running_site(database_url, WEB_URL="http://hub.lan:80") as site:
        visitor = site.visitor()
        token = form_token(visitor.get("/about").text)
        fields, headers = {"form_token": token}, {"Origin": "http://hub.lan"}
        look = visitor.http.post(f"{site.url}/look", data=fields, headers=headers, timeout=20)
    assert look.status_code == 200


def test_a_page_that_has_not_changed_is_not_sent_again(website: RunningSite) -> None:
    visitor = website.visitor()
    etag = visitor.get("/about").headers["ETag"]
    again = visitor.get("/about", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="neither header"),
        pytest.param({"Origin": "https://elsewhere.example"}, id="another origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="another host of the domain"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="ours, without the token"),
    ],
)
def test_a_form_from_elsewhere_is_rejected(
    website: RunningSite, mika: User, headers: dict[str, str]
) -> None:
    cookie = {COOKIE: website.session_token(mika)}
    answer = requests.post(website.url + "/sign-out", cookies=cookie, headers=headers, timeout=20)
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["site.css", "site.js", "icon.svg"])
def test_files_are_compressed_for_who_understands_it(website: RunningSite, name: str) -> None:
    visitor, path = website.visitor(), f"/static/{name}"
    packed, plain = (
        visitor.get(path, headers={"Accept-Encoding": kind}) for kind in ("gzip", "identity")
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.text == plain.text
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert "max-age=31536000" in plain.headers["Cache-Control"]
    assert "Content-Encoding" not in visitor.get("/about").headers


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/about"])
def test_a_browser_finds_nothing_wrong(
    website: RunningSite, browser: Browser, path: str, size: tuple[int, int], scheme: str
) -> None:
    with open_tab(browser, website.url, size=size, scheme=scheme) as tab:
        tab.open(path)
        tab.check()
        assert not tab.overflows()
