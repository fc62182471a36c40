"""Devices: channels, tests of them, and the browsers that are signed in."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser

import sql
from readers.channels import store
from readers.channels.addresses import TRUSTED, parse_address
from readers.channels.options import Options
from readers.channels.store import Channel
from readers.users import User, add_user
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.website import COOKIE, RunningSite, running_site

HERE = "/me/devices"
SECRET = "s3cret"
KINDS = ["new-chapter", "new-manga", "manga-update"]


def channels_of(connection: sql.Connection, user: User) -> list[Channel]:
    return store.list_channels(connection, user)


def add(connection: sql.Connection, user: User, text: str = f"ntfys://ntfy.sh/{SECRET}") -> int:
    address = parse_address(text, TRUSTED)
    return store.add_channel(connection, user, address, Options())[0].id


def test_who_is_not_signed_in_is_sent_to_sign_in(website: RunningSite) -> None:
    assert website.visitor().get(HERE).status_code == 302


def test_without_a_channel_the_page_says_how_one_is_notified(
    website: RunningSite, mika: User
) -> None:
    page = website.visitor(mika).get(HERE).text
    assert "You are notified in the inbox and over UDP only." in page
    assert f"udp_listener.py --server HOST:8082 --user {mika.id}" in page


def test_a_channel_is_added_with_its_options_and_a_test_wanted(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    visitor = website.visitor(mika)
    answer = visitor.post(
        f"{HERE}/channels", HERE, address=f" ntfys://ntfy.sh/{SECRET} ", only=["new-chapter"],
        when="daily", digest_at="07:30", time_zone="Europe/Berlin",
    )  # fmt: skip
    assert (answer.status_code, answer.headers["Location"]) == (303, HERE)
    (channel,) = channels_of(connection, mika)
    assert channel.options.kinds == ["new-chapter"] and channel.test_wanted_at is not None
    page = visitor.get(HERE).text
    assert "ntfys://ntfy.sh/…" in page and SECRET not in page
    assert "once a day at 07:30 (Europe/Berlin)" in page and "A test is on its way." in page


def test_the_secret_of_a_webhook_is_shown_once_and_kept_by_no_browser(
    website: RunningSite, mika: User
) -> None:
    visitor = website.visitor(mika)
    answer = visitor.post(
        f"{HERE}/channels", HERE, address="webhook:https://hooks.example/x", only=KINDS
    )
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    assert re.search(r'<code id="secret">whsec_[A-Za-z0-9+/=]+</code>', answer.text)
    assert "whsec_" not in visitor.get(HERE).text


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "printable characters"),
        ("slack://a/b/c", "is no kind of address that this server allows"),
        ("webhook:http://hooks.example/", "webhook:https://"),
        ("ntfy://10.0.0.1/x", "private address"),
        ("<script>alert(1)</script>", "this is no address"),
    ],
)
def test_what_cannot_be_added_is_said_and_nothing_is(
    website: RunningSite, connection: sql.Connection, mika: User, address: str, words: str
) -> None:
    answer = website.visitor(mika).post(f"{HERE}/channels", HERE, address=address, only=KINDS)
    assert answer.status_code == 400 and words in answer.text
    assert "<script>alert" not in answer.text
    assert channels_of(connection, mika) == []


@pytest.mark.parametrize(
    "fields",
    [{"only": []}, {"when": "daily", "digest_at": "25:00"}, {"when": "daily", "time_zone": "Mars"}],
)
def test_nor_with_options_that_are_none(
    website: RunningSite, connection: sql.Connection, mika: User, fields: dict[str, object]
) -> None:
    given = {"address": "ntfys://ntfy.sh/t", "only": KINDS, "digest_at": "07:00", **fields}
    answer = website.visitor(mika).post(f"{HERE}/channels", HERE, **given)
    assert answer.status_code == 400
    assert channels_of(connection, mika) == []


def test_channels_that_are_switched_off_cannot_be_added(database_url: str, mika: User) -> None:
    with running_site(database_url, NOTIFY_CHANNELS="off") as site:
        visitor = site.visitor(mika)
        assert "has switched off channels" in visitor.get(HERE).text
        answer = visitor.post(f"{HERE}/channels", HERE, address="ntfys://ntfy.sh/t", only=KINDS)
        assert answer.status_code == 400


def test_a_channel_is_tested_paused_resumed_and_removed(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    id, visitor = add(connection, mika), website.visitor(mika)
    for deed, words in (("pause", "‖ Paused"), ("resume", "Nothing was sent yet"),
                        ("test", "A test is on its way"), ("remove", "over UDP only")):  # fmt: skip
        assert visitor.post(f"{HERE}/channels/{id}/{deed}", HERE).status_code == 303
        assert words in visitor.get(HERE).text, deed
    assert visitor.post(f"{HERE}/channels/{id}/test", HERE).status_code == 404


def test_nobody_touches_the_channel_or_session_of_another(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    id, visitor = add(connection, mika), website.visitor(add_user(connection, "ola", None, None))
    for deed in ("test", "pause", "resume", "remove", "explode"):
        assert visitor.post(f"{HERE}/channels/{id}/{deed}", HERE).status_code == 404
    assert len(channels_of(connection, mika)) == 1
    assert "ntfys://ntfy.sh/…" not in visitor.get(HERE).text
    own = website.visitor(mika)
    (session,) = connection.execute(
        "SELECT id FROM web_sessions WHERE user_id = %s", [mika.id]
    ).fetchall()
    visitor.post(f"{HERE}/sessions/{session[0]}/end", HERE)
    assert own.get(HERE).status_code == 200


def test_what_went_wrong_is_said_in_plain_words(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    failing, paused = add(connection, mika), add(connection, mika, "discord://1/2")
    connection.execute(
        "UPDATE channel_deliveries SET failing_since = now() - interval '2 h', last_error ="
        " 'ntfy.sh <b>fails</b> (HTTP 503)', next_attempt_at = now(), test_error = 'it fails',"
        " tested_at = now(), test_wanted_at = now() - interval '2 min' WHERE channel_id = %s",
        [failing],
    )
    connection.execute("UPDATE reader_channels SET paused_at = now() WHERE id = %s", [paused])
    page = website.visitor(mika).get(HERE).text
    assert "ntfy.sh &lt;b&gt;fails&lt;/b&gt; (HTTP 503). It is tried again" in page
    assert "‖ Paused" in page
    assert "does not run, or is very busy" in page


def test_a_browser_can_be_signed_out_from_here(website: RunningSite, mika: User) -> None:
    here, other = website.visitor(mika), website.visitor(mika)
    page = here.get(HERE).text
    assert page.count("this one") == 1
    ids = [int(id) for id in re.findall(r"/me/devices/sessions/(\d+)/end", page)]
    for id in ids[1:] if is_own_first(page) else ids[:1]:
        here.post(f"{HERE}/sessions/{id}/end", HERE)
    assert other.get(HERE).status_code == 302


def is_own_first(page: str) -> bool:
    return page.index("this one") < page.index("/end")


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_usable_in_a_browser(
    website: RunningSite, connection: sql.Connection, mika: User, browser: Browser,
    size: tuple[int, int], scheme: str,
) -> None:  # fmt: skip
    add(connection, mika)
    add(connection, mika, f"webhook:https://{'long' * 12}.hooks.example/x")
    cookies = {COOKIE: website.session_token(mika)}
    with open_tab(browser, website.url, size=size, scheme=scheme, cookies=cookies) as tab:
        tab.open(HERE)
        tab.page.get_by_text("Add a channel").click()
        tab.check()
        assert not tab.overflows()
        tab.page.get_by_label("Address").fill("webhook:https://hooks.example/token")
        tab.page.get_by_role("button", name="Add, and send a test").click()
        assert tab.page.locator("#secret").inner_text().startswith("whsec_")
        tab.check()
