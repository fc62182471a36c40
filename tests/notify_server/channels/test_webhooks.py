"""Webhooks: verified by the independent implementation of Standard Webhooks."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from notify_server.channels.webhooks import body_of, signed_headers
from readers.channels.messages import Message
from readers.datagram import Content
from tests.notify_server.channels.conftest import NOW, Deliver, chapter, message_of
from tests.support.channel_servers import Answer, ChannelServer

SECRET = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def test_an_independent_implementation_verifies_what_is_sent(
    deliver: Deliver, server: ChannelServer
) -> None:
    message = message_of(chapter(title="Ünïcode ☃ \u202e “x”"))
    assert deliver(f"webhook:http://{server.address}/a?b=c", message, secret=SECRET).error is None
    (request,) = server.take(1)
    assert request.path == "/a?b=c"
    body = Webhook(SECRET).verify(request.body, request.headers)
    assert body == request.json
    assert request.headers["webhook-id"] == message.id
    other = Webhook(f"whsec_{base64.b64encode(b'x' * 32).decode()}")
    with pytest.raises(WebhookVerificationError):
        other.verify(request.body, request.headers)


def test_a_notification_is_sent_as_a_datagram_has_it() -> None:
    body = body_of(message_of(chapter(181, volume="19")), NOW)
    assert body == {
        "type": "NEW_CHAPTER",
        "id": 1,
        "manga_id": 1,
        "title": "Blue Lantern",
        "message": "New chapter 181 available (was chapter 180)",
        "timestamp": "2027-01-01T12:00:00.000000Z",
        "data": {
            "chapter": 181,
            "language": "en",
            "groups": ["TeamX"],
            "chapter_title": "The End",
            "url": "https://mangadex.org/chapter/0d1e2f30",
            "volume": "19",
        },
        "changes": [],
    }


def test_a_bundle_has_all_in_order() -> None:
    body = body_of(message_of(*(chapter(number) for number in range(5))), NOW)
    assert (body["type"], body["id"], body["message"]) == ("BUNDLE", 5, "5 notifications")
    items = body["notifications"]
    assert isinstance(items, list)
    assert [item["id"] for item in items if isinstance(item, dict)] == [1, 2, 3, 4, 5]


def test_a_test_says_so() -> None:
    assert body_of(Message("msg_7_test_1"), NOW)["type"] == "TEST"


@pytest.mark.parametrize(
    "content",
    [
        Content("", 0, "", "", None, {}, []),
        Content("X", 0, "\ud800", "\0\n", None, {"a": "\udfff", "b": [None, 1.5]}, [None]),
    ],
    ids=["empty", "halves of surrogate pairs"],
)
def test_whatever_a_row_holds_can_be_sent(
    deliver: Deliver, server: ChannelServer, content: Content
) -> None:
    receipt = deliver(f"webhook:http://{server.address}/", message_of(content), secret=SECRET)
    assert receipt.error is None
    (request,) = server.take(1)
    Webhook(SECRET).verify(request.body, request.headers)
    assert request.json["id"] == 1


def test_signatures_are_of_the_time_that_is_given() -> None:
    headers = signed_headers("msg_1_2", b"{}", SECRET, datetime(2027, 1, 1, tzinfo=UTC))
    assert headers["webhook-timestamp"] == "1798761600"
    assert headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_answer_of_success_is_one(
    deliver: Deliver, server: ChannelServer, status: int
) -> None:
    server.answer(Answer(status, b""))
    assert deliver(f"webhook:http://{server.address}/", secret=SECRET).error is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "refuses the message"),
        (401, "does not accept the credentials"),
        (404, "does not know this address"),
        (410, "does not know this address"),
        (429, "asks to wait"),
        (500, "fails"),
        (503, "fails"),
    ],
)
def test_every_other_one_is_named(
    deliver: Deliver, server: ChannelServer, status: int, words: str
) -> None:
    server.answer(Answer(status, b"s3cret"))
    receipt = deliver(f"webhook:http://{server.address}/token", secret=SECRET)
    assert receipt.error == f"http://{server.address} {words} (HTTP {status})"


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (Answer(429, b"", {"Retry-After": "7"}), 7),
        (Answer(503, b"", {"Retry-After": "120"}), 120),
        (Answer(429, b"{}", {"Retry-After": "soon"}), None),
        (Answer(429, b"", {"Retry-After": "-5"}), None),
        (Answer(429, b"", {"Retry-After": "nan"}), None),
        (Answer.of(429, {"retry_after": 64.57, "global": False}), 64.57),
        (Answer.of(429, {"ok": False, "parameters": {"retry_after": 35}}), 35),
        (Answer.of(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2000}), 2),
        (Answer.of(429, {"retry_after": "x", "parameters": []}), None),
        (Answer.of(429, [1]), None),
        (Answer(429, b"[" * 100_000), None),
    ],
)
def test_how_long_to_wait_is_read_as_each_service_says_it(
    deliver: Deliver, server: ChannelServer, answer: Answer, wait_s: float | None
) -> None:
    server.answer(answer)
    receipt = deliver(f"webhook:http://{server.address}/", secret=SECRET)
    assert receipt.error and receipt.retry_after_s == wait_s


@pytest.mark.parametrize(("ahead_s", "wait_s"), [(90, 90), (0, 0), (-60, 0)])
def test_a_date_is_read_by_the_servers_own_clock(
    deliver: Deliver, server: ChannelServer, ahead_s: int, wait_s: int
) -> None:
    clock = datetime(2027, 5, 1, tzinfo=UTC)  # of a server that is far off
    dates = (clock, clock + timedelta(seconds=ahead_s))
    date, later = (format_datetime(each, usegmt=True) for each in dates)
    server.answer(Answer(503, b"", {"Date": date, "Retry-After": later}))
    receipt = deliver(f"webhook:http://{server.address}/", secret=SECRET)
    assert receipt.retry_after_s == wait_s
