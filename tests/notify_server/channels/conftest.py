"""Channels: servers on loopback, and the real processes that send to them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.connection import wait

import pytest

from notify_server.channels.failures import Receipt
from notify_server.channels.processes import Processes
from readers.channels.addresses import Policy, parse_address
from readers.channels.messages import Delivery, Message, News
from readers.datagram import Content, Json
from tests.support.channel_servers import ChannelServer, channel_server

ANYWHERE = Policy(
    ("ntfy", "discord", "tgram", "mailto", "gotify", "matrix", "json", "webhook"), True
)
NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
Deliver = Callable[..., Receipt]


def chapter(number: Json = 181, title: str = "Blue Lantern", **data: Json) -> Content:
    usual: dict[str, Json] = {
        "chapter": number,
        "language": "en",
        "groups": ["TeamX"],
        "chapter_title": "The End",
        "url": "https://mangadex.org/chapter/0d1e2f30",
    }
    message = f"New chapter {number} available (was chapter 180)"
    return Content("NEW_CHAPTER", 1, title, message, NOW, {**usual, **data}, [])


def message_of(*contents: Content, site: str | None = None) -> Message:
    news = tuple(News(number, content) for number, content in enumerate(contents, 1))
    return Message(f"msg_7_{len(news)}", news, site)


@pytest.fixture
def server() -> Iterator[ChannelServer]:
    with channel_server() as running:
        yield running


@pytest.fixture
def deliver() -> Iterator[Deliver]:
    """`deliver("ntfy://…", message)` → the receipt of a real sending process."""
    processes = Processes(1)

    def deliver(
        text: str, message: Message | None = None, policy: Policy = ANYWHERE, secret: str = ""
    ) -> Receipt:
        address = parse_address(text, ANYWHERE)
        message = message or message_of(chapter())
        delivery = Delivery(7, address.kind, address.server, address.text, secret, policy, message)
        with warnings.catch_warnings():  # this process has threads; the sender has none
            warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
            processes.start(delivery)
        while not (ended := processes.collect()):
            wait(processes.connections, 0.5)
        return ended[0][1]

    yield deliver
    processes.end()
