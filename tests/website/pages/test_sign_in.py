"""Signing in and out: by link and by key, and what strangers try."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

import sql
from readers import keys, sessions, sign_in_links
from readers.users import User, add_user
from tests.support.website import COOKIE, SECRET, RunningSite, Visitor, running_site


def key_of(connection: sql.Connection, user: User) -> str:
    return keys.user_key(connection, SECRET, user)


def is_signed_in(visitor: Visitor) -> bool:
    return "Sign out" in visitor.get("/about").text


def follow_a_title(connection: sql.Connection, user: User) -> None:
    connection.execute(
        "WITH m AS (INSERT INTO manga (title) VALUES ('Blue') RETURNING id)"
        " INSERT INTO user_library (user_id, manga_id) SELECT %s, id FROM m",
        [user.id],
    )


def test_a_link_shows_a_button_and_only_the_button_uses_it_up(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    path = f"/sign-in/{sign_in_links.make_link(connection, mika)}"
    for _ in range(2):  # a chat's preview, then the reader
        page = website.visitor().get(path)
        assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
        assert "Sign in as <bdi>mika</bdi>" in page.text
    visitor = website.visitor()
    answer = visitor.post(path, path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/me/library")
    assert is_signed_in(visitor)
    again = website.visitor().get(path)
    assert again.status_code == 404
    assert "This link does not work any more" in again.text


@pytest.mark.parametrize("name", ["mika", " mika ", "{id}"])
def test_name_or_id_and_key_sign_in(
    website: RunningSite, connection: sql.Connection, mika: User, name: str
) -> None:
    visitor, key = website.visitor(), key_of(connection, mika)
    answer = visitor.post("/sign-in", "/sign-in", name=name.format(id=mika.id), key=f" {key}\n")
    assert answer.status_code == 303
    assert is_signed_in(visitor)


@pytest.mark.parametrize(
    ("name", "key"),
    [("mika", "x"), ("mika", ""), ("", ""), ("nobody", "{key}"), ("mi\0ka", "x"), ("mika", "é")],
)
def test_a_wrong_name_or_key_is_told_without_saying_which(
    website: RunningSite, connection: sql.Connection, mika: User, name: str, key: str
) -> None:
    visitor = website.visitor()
    given = key.format(key=key_of(connection, mika))
    answer = visitor.post("/sign-in", "/sign-in", name=name, key=given)
    assert answer.status_code == 403
    assert "This name and key do not belong together." in answer.text
    assert not is_signed_in(visitor)


def test_a_reader_with_titles_lands_on_what_is_new(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    follow_a_title(connection, mika)
    key = key_of(connection, mika)
    answer = website.visitor().post("/sign-in", "/sign-in", name="mika", key=key)
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/me/inbox?before=1", "/me/inbox?before=1"),
        ("//evil.example", "/me/library"),
        ("https://evil.example", "/me/library"),
        ("/\\evil.example", "/me/library"),
    ],
)
def test_sign_in_leads_on_within_this_site_alone(
    website: RunningSite, connection: sql.Connection, mika: User, wanted: str, location: str
) -> None:
    key = key_of(connection, mika)
    answer = website.visitor().post("/sign-in", "/sign-in", name="mika", key=key, next=wanted)
    assert answer.headers["Location"] == location


def test_the_form_keeps_where_the_reader_wanted_to_go(website: RunningSite) -> None:
    page = website.visitor().get("/sign-in?next=/me/inbox%3Fbefore%3D1").text
    assert 'name="next" value="/me/inbox?before=1"' in page


def test_a_session_that_somebody_planted_is_not_taken_over(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    planted = "x" * 43
    visitor = website.visitor()
    visitor.http.cookies.set(COOKIE, planted)
    answer = visitor.post("/sign-in", "/sign-in", name="mika", key=key_of(connection, mika))
    fresh = answer.cookies[COOKIE]
    assert fresh != planted
    assert sessions.find_session(connection, planted) is None
    assert sessions.find_session(connection, fresh)


def test_signing_in_as_another_ends_the_session_before(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    noor = add_user(connection, "noor", None, None)
    token = website.session_token(mika)
    visitor = website.visitor()
    visitor.http.cookies.set(COOKIE, token)
    path = f"/sign-in/{sign_in_links.make_link(connection, noor)}"
    fresh = visitor.post(path, path).cookies[COOKIE]
    assert sessions.find_session(connection, token) is None
    found = sessions.find_session(connection, fresh)
    assert found is not None and found.user == noor


def test_signing_out_ends_the_session_and_takes_the_cookie(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    visitor = website.visitor(mika)
    token = visitor.http.cookies[COOKIE]
    answer = visitor.post("/sign-out", "/about")
    assert answer.status_code == 303
    assert f"{COOKIE}=;" in answer.headers["Set-Cookie"]
    assert sessions.find_session(connection, token) is None
    assert not is_signed_in(visitor)


def test_a_rotated_key_ends_sessions_at_once(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    visitor = website.visitor(mika)
    assert is_signed_in(visitor)
    keys.rotate_key(connection, SECRET, mika)
    assert not is_signed_in(visitor)


def test_the_eleventh_try_within_a_minute_waits(website: RunningSite, mika: User) -> None:
    visitor = website.visitor()
    answers = [
        visitor.post("/sign-in", "/sign-in", name="mika", key="x").status_code for _ in range(10)
    ]
    assert answers == [403] * 10
    answer = visitor.post("/sign-in", "/sign-in", name="mika", key="x")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert "Wait a minute" in answer.text


def test_a_try_without_a_form_token_counts_too(website: RunningSite) -> None:
    answers = [requests.post(f"{website.url}/sign-in", timeout=20).status_code for _ in range(11)]
    assert answers == [403] * 10 + [429]


@pytest.fixture
def https(database_url: str) -> Iterator[RunningSite]:
    """A site behind a proxy that speaks https."""
    with running_site(database_url, WEB_URL="https://hub.example", WEB_PROXIES="1") as site:
        yield site


def test_cookies_of_an_https_site_are_bound_to_its_host(
    https: RunningSite, connection: sql.Connection, mika: User
) -> None:
    path = f"{https.url}/sign-in/{sign_in_links.make_link(connection, mika)}"
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    page = requests.get(path, headers=forwarded, timeout=20)
    form = _cookie(page, "__Host-form")
    found = re.search(r'name="form_token" value="(\w+)"', page.text)
    assert found
    answer = requests.post(
        path,
        data={"form_token": found[1]},
        headers=forwarded | {"Origin": "https://hub.example", "Cookie": f"__Host-form={form}"},
        timeout=20,
        allow_redirects=False,
    )
    assert answer.status_code == 303
    assert _cookie(answer, "__Host-session")
    assert answer.headers["Strict-Transport-Security"]


def _cookie(answer: requests.Response, name: str) -> str:
    found = re.search(rf"{name}=([^;]+); (.*?)(?:, |$)", answer.headers["Set-Cookie"])
    assert found, answer.headers
    flags = {flag.strip() for flag in answer.headers["Set-Cookie"].split(";")}
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= flags
    assert not any(flag.startswith("Domain") for flag in flags)
    return found[1]


def test_cookies_on_plain_http_are_hidden_from_scripts_too(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    path = f"/sign-in/{sign_in_links.make_link(connection, mika)}"
    flags = website.visitor().post(path, path).headers["Set-Cookie"]
    assert flags.startswith(f"{COOKIE}=")
    assert "HttpOnly" in flags and "SameSite=Lax" in flags and "Secure" not in flags


@pytest.mark.parametrize(
    ("host", "is_warned"),
    [("127.0.0.1:8086", False), ("localhost", False), ("[::1]:8086", False), ("hub.lan", True)],
)
def test_plain_http_beyond_this_host_is_warned_of(
    website: RunningSite, host: str, is_warned: bool
) -> None:
    page = website.visitor().get("/sign-in", headers={"Host": host}).text
    assert ("Not encrypted" in page) == is_warned
