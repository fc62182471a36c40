"""Apprise's kinds, each received by a server of its own on loopback."""

from __future__ import annotations

import email
import email.policy
import html
import json
import re
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from readers.datagram import Content
from tests.notify_server.channels.conftest import NOW, Deliver, chapter, message_of
from tests.support.channel_servers import Answer, ChannelServer

HOSTILE = "**b** <b>&amp;</b> @everyone <@1> [x](http://e.example) `c` # \n> q\u202e\x07 ||s|| _i_"
DISCORD = "discord://4242424242/abcdefghijklmnopqrstuvwxyz"
TELEGRAM = "tgram://123456789:AAabcdefghijklmnopqrstuvwxyzabcdefg/-1001"


@pytest.fixture
def services(server: ChannelServer, monkeypatch: pytest.MonkeyPatch) -> ChannelServer:
    """A server that also plays those whose address is fixed."""
    from apprise.plugins.discord import NotifyDiscord
    from apprise.plugins.telegram import NotifyTelegram

    monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://{server.address}/api/webhooks")
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"http://{server.address}/bot")
    return server


def test_ntfy_shows_title_number_language_groups_and_link(
    deliver: Deliver, server: ChannelServer
) -> None:
    assert deliver(f"ntfy://{server.address}/topic", message_of(chapter(behind=3))).error is None
    (request,) = server.take(1)
    assert request.json["topic"] == "topic"
    assert request.json["title"] == "Blue Lantern: chapter 181"
    assert request.json["message"].split("\n") == [
        "New chapter 181 available (was chapter 180)",
        "en · by TeamX · “The End” · you are 3 behind",
        "https://mangadex.org/chapter/0d1e2f30",
    ]


def test_ntfy_shows_a_hostile_title_as_it_is_in_one_line(
    deliver: Deliver, server: ChannelServer
) -> None:
    assert deliver(f"ntfy://{server.address}/t", message_of(chapter(title=HOSTILE))).error is None
    title = server.take(1)[0].json["title"]
    assert title.startswith("**b** <b>&amp;</b> @everyone <@1> [x](http://e.example) `c` # > q ||s")


def test_gotify_and_matrix_are_sent_to(deliver: Deliver, server: ChannelServer) -> None:
    assert deliver(f"gotify://{server.address}/AbCdEfGhIjKlMnO").error is None
    assert server.take(1)[0].json["title"] == "Blue Lantern: chapter 181"
    assert deliver(f"matrix://u:p@{server.address}/#room").error is None
    sent = [r.json for r in server.take(3) if "/send/" in r.path]
    assert "Blue Lantern: chapter 181" in json.dumps(sent)


def test_discord_shows_a_hostile_title_as_it_is_and_mentions_nobody(
    deliver: Deliver, services: ChannelServer
) -> None:
    assert deliver(DISCORD, message_of(chapter(title=HOSTILE))).error is None
    (request,) = services.take(1)
    content = request.json["content"]
    heading = content.split("\n")[0]
    assert heading.startswith("**\\*\\*b\\*\\* \\<b\\>&amp;\\</b\\> @\u200beveryone \\<@\u200b1\\>")
    assert "\\[x\\]\\(http\\://e.example\\) \\`c\\` \\# \\> q \\|\\|s\\|\\| \\_i\\_" in heading
    assert content.endswith("<https://mangadex.org/chapter/0d1e2f30>")


def test_discord_shows_the_cover_where_the_website_can_be_reached(
    deliver: Deliver, services: ChannelServer
) -> None:
    message = message_of(chapter(title=HOSTILE), site="https://hub.example")
    assert deliver(f"{DISCORD}?thread=5", message).error is None
    (request,) = services.take(1)
    (embed,) = request.json["embeds"]
    assert embed["thumbnail"]["url"] == "https://hub.example/covers/1/256.webp"
    assert embed["title"].startswith("\\*\\*b") and len(embed["title"]) <= 256
    assert embed["description"].startswith("New chapter 181")
    assert "@everyone" not in request.body.decode() and not request.json.get("content")
    assert "thread_id=5" in request.path


def test_telegram_shows_a_hostile_title_as_it_is(deliver: Deliver, services: ChannelServer) -> None:
    assert deliver(TELEGRAM, message_of(chapter(title=HOSTILE))).error is None
    (request,) = services.take(1)
    assert request.json["parse_mode"] == "HTML"
    text = request.json["text"]
    assert (
        "<b>**b** &lt;b&gt;&amp;amp;&lt;/b&gt; @everyone &lt;@1&gt; [x](http://e.example)" in text
    )
    assert '<a href="https://mangadex.org/chapter/0d1e2f30">' in text
    assert "<br" not in text and "\n" in text


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (Answer.of(429, {"message": "You are being rate limited.", "retry_after": 0.33}), 0.33),
        (
            Answer.of(429, {"retry_after": 3600}, Retry_After="3600", X_RateLimit_Remaining="0"),
            3600,
        ),
    ],
)
def test_discords_limit_is_handed_on_at_once(
    deliver: Deliver, services: ChannelServer, answer: Answer, wait_s: float
) -> None:
    services.answer(answer)
    receipt = deliver(DISCORD)
    assert (receipt.error, receipt.retry_after_s) == ("discord asks to wait (HTTP 429)", wait_s)
    assert len(services.requests) == 1


def test_telegrams_errors_are_handed_on(deliver: Deliver, services: ChannelServer) -> None:
    limited = {"ok": False, "error_code": 429, "parameters": {"retry_after": 35}}
    services.answer(Answer.of(429, limited), Answer.of(403, {"ok": False, "description": "s3cret"}))
    receipt = deliver(TELEGRAM)
    assert (receipt.error, receipt.retry_after_s) == ("tgram asks to wait (HTTP 429)", 35)
    assert deliver(TELEGRAM).error == "tgram does not accept the credentials (HTTP 403)"


def test_matrix_waits_for_nothing_itself(deliver: Deliver, server: ChannelServer) -> None:
    server.answer(Answer.of(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 60_000}))
    receipt = deliver(f"matrix://u:p@{server.address}/#room")
    assert receipt.error and receipt.retry_after_s == 60


def test_a_bundle_is_cut_to_what_a_channel_shows(deliver: Deliver, services: ChannelServer) -> None:
    many = message_of(*(chapter(n, f"Title {n}") for n in range(200)), site="https://hub.example")
    for text, most in ((DISCORD, 2_000), (TELEGRAM, 4_096)):
        assert deliver(text, many).error is None
        sent = services.take(1)[0].json
        shown = sent["embeds"][0]["description"] if "embeds" in sent else sent["text"]
        assert len(shown) <= most
        heading = "200 notifications: Title 0, Title 1, Title 2 and 197 more"
        assert heading in (sent["embeds"][0]["title"] if "embeds" in sent else shown)
        assert "hub.example/me/inbox" in shown.split("\n")[-1]
        assert re.search(r"… and 1\d\d more", shown)


@pytest.mark.parametrize("title", ["*" * 400, "青" * 400, "&" * 400, "x" * 400])
@pytest.mark.parametrize("site", [None, "https://hub.example"])
def test_no_title_makes_a_message_too_long(
    deliver: Deliver, services: ChannelServer, title: str, site: str | None
) -> None:
    content = chapter(title=title, chapter_title=title, groups=[title] * 9)
    for message in (message_of(content, site=site), message_of(*[content] * 50, site=site)):
        for text in (DISCORD, TELEGRAM, f"ntfy://{services.address}/t"):
            assert deliver(text, message).error is None
        discord, telegram, ntfy = (request.json for request in services.take(3))
        assert len(discord.get("content") or discord["embeds"][0]["description"]) <= 2_000
        assert len(html.unescape(telegram["text"])) <= 4_096
        assert len(ntfy["message"].encode()) <= 4_096 and len(ntfy["title"]) <= 250


# --- mail ----------------------------------------------------------------------------------------


class Mailbox:
    """Accepts every message but for recipients who are called `nobody`."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 s3cret is not known"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        message: Any = email.message_from_bytes(content, policy=email.policy.default)
        self.messages.append(message)
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox, f"127.0.0.1:{port}"
    controller.stop()


def test_mail_has_a_subject_and_a_readable_body(deliver: Deliver, mail: Any) -> None:
    mailbox, address = mail
    receipt = deliver(f"mailto://{address}?from=hub@hub.example&to=ine@mail.example")
    assert receipt.error is None
    (message,) = mailbox.messages
    assert message["Subject"] == "Blue Lantern: chapter 181"
    assert message["To"] == "ine@mail.example"
    body = message.get_body(("html",)).get_content()
    assert "New chapter 181 available (was chapter 180)" in body
    assert 'href="https://mangadex.org/chapter/0d1e2f30"' in body


def test_mail_shows_the_cover_where_the_website_can_be_reached(deliver: Deliver, mail: Any) -> None:
    mailbox, address = mail
    text = f"mailto://{address}?from=hub@hub.example&to=ine@mail.example"
    assert deliver(text, message_of(chapter(), site="https://hub.example")).error is None
    (message,) = mailbox.messages
    body = message.get_body(("html",)).get_content()
    assert 'src="https://hub.example/covers/1/256.webp"' in body
    assert 'href="https://hub.example/me/inbox"' in body


def test_a_title_adds_no_header_and_no_markup_to_mail(deliver: Deliver, mail: Any) -> None:
    mailbox, address = mail
    title = f"A\r\nBcc: all@mail.example\r\n\r\n{HOSTILE}"
    receipt = deliver(
        f"mailto://{address}?from=hub@hub.example&to=ine@mail.example",
        message_of(chapter(title=title), chapter(182, title)),
    )
    assert receipt.error is None
    (message,) = mailbox.messages
    assert message["Bcc"] is None
    assert "A Bcc: all@mail.example" in message["Subject"]
    assert "<b>&amp;</b>" not in message.get_body(("html",)).get_content()


def test_why_a_mail_server_refuses_is_said_without_its_words(deliver: Deliver, mail: Any) -> None:
    _, address = mail
    receipt = deliver(f"mailto://{address}?from=hub@hub.example&to=nobody@mail.example")
    assert receipt.error == f"{address} does not accept the sender or recipient (SMTP 550)"
    receipt = deliver(f"mailto://ine:s3cret@{address}?from=hub@hub.example&to=a@mail.example")
    assert receipt.error and "s3cret" not in receipt.error


@pytest.mark.parametrize(
    "content",
    [
        Content("", 0, "", "", None, {}, []),
        Content("CHANNEL_PAUSED", 0, "MangaHub", "It is paused.", NOW, {}, []),
        Content("NEW_MANGA", 1, "T", "New manga added: T", NOW, {"genres": [1, "Drama"]}, []),
        Content("MANGA_UPDATE", 1, "T", "Updated: status", NOW, {},
                [{"field": "status", "old_value": "ongoing", "new_value": None}, 7, None]),
        Content("NEW_CHAPTER", 1, "x" * 5_000, "y" * 5_000, NOW,
                {"chapter": None, "chapters": [1, "x", 2.5], "items": [{"chapter": 1}, 7, {}],
                 "url": "javascript:alert(1)", "groups": "x", "volume": {}}, []),
    ],
    ids=["empty", "paused", "new title", "update", "anything"],
)  # fmt: skip
def test_whatever_a_row_holds_can_be_sent(
    deliver: Deliver, services: ChannelServer, content: Content
) -> None:
    for text in (f"ntfy://{services.address}/t", DISCORD, TELEGRAM):
        assert deliver(text, message_of(content)).error is None, text
        assert deliver(text, message_of(content, content)).error is None, text
        for request in services.take(2):
            assert "javascript" not in request.body.decode()
