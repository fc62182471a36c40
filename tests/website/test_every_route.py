"""Every route, as each kind of visitor: who gets in, and with which headers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

import sql
from mangahub.env import Env
from readers.users import User, add_user
from sql.connections import Database
from tests.support.website import COOKIE, RunningSite
from website import config
from website.config import Addresses, Surroundings
from website.pages.app import create_app
from website.pages.site import Site

VALUES = {"size": "48", "filename": "site.css", "format": "csv"}
KINDS = ("none", "unknown", "reader", "operator")
FOR_ALL = ("/look", "/sign-in", "/sign-in/1", "/sign-out")


def every_path() -> list[tuple[str, set[str]]]:
    """Return the path of each route, with values in it, and its methods."""
    settings = config.load(Env({"MANGAHUB_DATA": "/nonexistent"}))
    given = Surroundings(settings, Addresses("http://x", "http://y"), "", "")
    app = create_app(Site(given, Database("", 1)))
    parameter = re.compile(r"<(?:\w+(?:\(.*?\))?:)?(\w+)>")
    return sorted(
        (parameter.sub(lambda m: VALUES.get(m[1], "1"), rule.rule), set(rule.methods or ()))
        for rule in app.url_map.iter_rules()
    )


PATHS = every_path()
GETS = [path for path, methods in PATHS if "GET" in methods]
POSTS = [path for path, methods in PATHS if "POST" in methods]


@pytest.fixture
def cookies(
    website: RunningSite, connection: sql.Connection, mika: User
) -> dict[str, dict[str, str]]:
    """Return the cookies of each kind of visitor; there is one title."""
    connection.execute("INSERT INTO manga (title) VALUES ('Blue')")
    operator = add_user(connection, "op", None, None, "admin")
    tokens = ("", "x" * 43, website.session_token(mika), website.session_token(operator))
    return {who: {COOKIE: token} for who, token in zip(KINDS, tokens, strict=True)}


def expected(path: str, who: str) -> set[int]:
    """Return the statuses that a GET may have."""
    is_out = who in ("none", "unknown")
    if path.startswith("/me/"):
        return {302} if is_out else {200, 302, 404}
    if path in ("/health", "/health.json"):
        return {302, 401, 403} if is_out else {403} if who == "reader" else {200}
    return {200, 302, 404}


def faults_of(answer: requests.Response) -> list[str]:
    """Return what is missing or too much in headers and page."""
    headers = answer.headers
    policy = headers.get("Content-Security-Policy", "")
    found = []
    if not policy.startswith("default-src 'none'") or "unsafe" in policy:
        found.append("policy")
    wanted = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    found += [name for name, value in wanted.items() if headers.get(name) != value]
    for name in ("Cross-Origin-Opener-Policy", "Permissions-Policy", "Cache-Control"):
        found += [] if headers.get(name) else [name]
    if headers.get("Content-Type", "").startswith("text/html") and answer.status_code == 200:
        if headers["Cache-Control"] not in ("private, no-cache", "no-store"):
            found.append("Cache-Control")
        if re.search(r" on\w+=|<style|style=|<script(?! src=)", answer.text):
            found.append("something inline")
    return found


def ask(website: RunningSite, method: str, path: str, **how: Any) -> requests.Response:
    url = website.url + path
    return requests.request(method, url, timeout=20, allow_redirects=False, **how)


@pytest.mark.parametrize("who", KINDS)
def test_a_route_lets_in_whom_it_is_for_with_all_headers(
    website: RunningSite, cookies: dict[str, dict[str, str]], who: str
) -> None:
    faults: list[tuple[str, object]] = []
    for path in GETS:
        answer = ask(website, "GET", path, cookies=cookies[who])
        if answer.status_code not in expected(path, who):
            faults.append((path, answer.status_code))
        faults += [(path, fault) for fault in faults_of(answer)]
    assert faults == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "{url}"}, {"Sec-Fetch-Site": "same-origin"}],
    ids=["bare", "our origin", "same origin"],
)
def test_a_form_without_its_token_does_nothing_on_any_route(
    website: RunningSite, cookies: dict[str, dict[str, str]], headers: dict[str, str]
) -> None:
    given = {name: value.format(url=website.url) for name, value in headers.items()}
    statuses = {
        (path, who): ask(
            website,
            "POST",
            path,
            cookies=cookies[who],
            headers=given,
            data={"form_token": "0" * 64},
        ).status_code
        for path in POSTS
        for who in KINDS
    }
    assert {key: status for key, status in statuses.items() if status not in (403, 429)} == {}


def test_a_visitor_does_nothing_where_readers_act(
    website: RunningSite, cookies: dict[str, dict[str, str]]
) -> None:
    visitor = website.visitor()
    paths = [path for path in POSTS if path not in FOR_ALL]
    statuses = {path: visitor.post(path, "/about").status_code for path in paths}
    assert {path: status for path, status in statuses.items() if status != 403} == {}


def test_there_are_routes() -> None:
    assert len(GETS) > 15 and len(POSTS) > 8
    assert {"/", "/titles", "/me/inbox", "/about"} <= set(GETS)
