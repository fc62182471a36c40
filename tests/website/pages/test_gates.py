"""What a request passes before its view: who may see what, and which forms are ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import requests

import sql
from readers.users import User
from tests.support.website import COOKIE, RunningSite, form_token, running_site

FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def closed(database_url: str) -> Iterator[RunningSite]:
    """A site that shows nothing to visitors."""
    with running_site(database_url, WEB_VISITORS="off") as site:
        yield site


def post(site: RunningSite, path: str, headers: Any, **how: Any) -> requests.Response:
    return requests.post(site.url + path, headers=headers, timeout=20, allow_redirects=False, **how)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="neither header"),
        pytest.param({"Origin": "https://elsewhere.example"}, id="another origin"),
        pytest.param({"Origin": "null"}, id="no origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="another host of the domain"),
        pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "{url}"}, id="both, one is wrong"),
    ],
)
def test_a_form_from_elsewhere_is_rejected_though_its_token_is_right(
    website: RunningSite, mika: User, headers: dict[str, str]
) -> None:
    visitor = website.visitor(mika)
    token = form_token(visitor.get("/about").text)
    given = {name: value.format(url=website.url) for name, value in headers.items()}
    answer = post(
        website,
        "/sign-out",
        given,
        cookies={COOKIE: visitor.http.cookies[COOKIE]},
        data={"form_token": token},
    )
    assert answer.status_code == 403
    assert "was not sent from a page of this site" in answer.text
    assert "Sign out" in visitor.get("/about").text


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "of another"])
def test_a_form_without_its_token_is_rejected_though_it_comes_from_here(
    website: RunningSite, mika: User, token: str
) -> None:
    if token == "of another":
        token = form_token(website.visitor(mika).get("/about").text)
    visitor = website.visitor(mika)
    cookies = {COOKIE: visitor.http.cookies[COOKIE]}
    answer = post(website, "/sign-out", FROM_HERE, cookies=cookies, data={"form_token": token})
    assert answer.status_code == 403
    assert "This form is out of date" in answer.text
    assert "Sign out" in visitor.get("/about").text


def test_sign_in_needs_a_token_of_this_browser(website: RunningSite) -> None:
    token = form_token(website.visitor().get("/sign-in").text)
    assert post(website, "/sign-in", FROM_HERE, data={"form_token": token}).status_code == 403


def test_the_origin_is_that_of_the_address_in_use_where_none_is_set(
    website: RunningSite,
) -> None:
    visitor = website.visitor()
    host = {"Host": "hub.lan:8086"}
    token = form_token(visitor.get("/sign-in", headers=host).text)
    answers = [
        visitor.http.post(
            f"{website.url}/look",
            data={"form_token": token, "theme": "dark"},
            headers={**host, "Origin": origin},
            allow_redirects=False,
            timeout=20,
        ).status_code
        for origin in ("http://hub.lan:8086", "http://hub.lan", "https://hub.lan:8086")
    ]
    assert answers == [303, 403, 403]


@pytest.mark.parametrize("path", ["/", "/titles", "/titles/1", "/calendar", "/me/inbox", "/health"])
def test_a_closed_site_leads_visitors_to_sign_in_and_back(closed: RunningSite, path: str) -> None:
    answer = closed.visitor().get(path)
    if answer.status_code != 404:
        assert answer.status_code == 302
        assert unquote(answer.headers["Location"]) == f"/sign-in?next={path}"
    assert 'href="/calendar"' not in answer.text


@pytest.mark.parametrize(
    "path", ["/sign-in", "/about", "/healthz", "/readyz", "/robots.txt", "/static/site.css"]
)
def test_a_closed_site_shows_what_signing_in_needs(closed: RunningSite, path: str) -> None:
    answer = closed.visitor().get(path)
    assert answer.status_code == 200
    assert 'href="/titles"' not in answer.text


def test_a_closed_site_is_open_to_readers(closed: RunningSite, mika: User) -> None:
    assert closed.visitor(mika).get("/").status_code == 200


def test_colours_and_keys_are_remembered(website: RunningSite) -> None:
    visitor = website.visitor()
    answer = visitor.post("/look", "/about", theme="dark", back="/about")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/about")
    assert 'data-theme="dark"' in visitor.get("/about").text
    visitor.post("/look", "/about", keys="off")
    page = visitor.get("/about").text
    assert 'data-keys="off"' in page and 'data-theme="dark"' in page


@pytest.mark.parametrize("fields", [{"theme": "red"}, {"keys": "x"}, {"back": "//evil.example"}])
def test_other_choices_change_nothing(website: RunningSite, fields: dict[str, str]) -> None:
    visitor = website.visitor()
    answer = visitor.post("/look", "/about", **fields)
    assert answer.headers["Location"] == "/"
    page = visitor.get("/about").text
    assert 'data-theme="system"' in page and 'data-keys="on"' in page


def test_a_session_is_looked_up_only_where_it_counts(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    visitor = website.visitor(mika)
    connection.execute("UPDATE web_sessions SET last_seen_at = now() - interval '2 hours'")
    stale = "SELECT last_seen_at < now() - interval '1 hour' FROM web_sessions"
    for path in ("/static/site.css", "/healthz"):
        visitor.get(path)
        assert connection.execute(stale.encode()).fetchone() == (True,)
    visitor.get("/about")
    assert connection.execute(stale.encode()).fetchone() == (False,)
