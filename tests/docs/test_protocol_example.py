"""The worked exchange of docs/protocol.md: it was real, and the server still speaks like it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Any

import pytest
import requests

import sql
from tests.support.paths import ROOT
from tests.support.udp_client import Message, UdpClient, proof

DOCS = ROOT / "docs"
PAGE = (DOCS / "protocol.md").read_text(encoding="utf-8")
EXCHANGE = [
    (arrow, json.loads(text))
    for arrow, text in re.findall(r"^\d+\.\d\d ([→←]) (\{.*\})$", PAGE, re.MULTILINE)
]
# What differs from one run to the next.
PASSING = ("cookie", "proof", "session", "timestamp", "id", "ids")


def found(pattern: str) -> str:
    match = re.search(pattern, PAGE, re.MULTILINE)
    assert match, pattern
    return match[1]


SECRET = found(r"`NOTIFY_SECRET=([^`]+)`")
USER = found(r"^user  (\S+)$")
KEY = found(r"^key   (\S+)$")


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_exchange_is_read_as_a_whole() -> None:
    kinds = [message["type"] for _, message in EXCHANGE]
    assert kinds == [
        *("SUBSCRIBE", "CHALLENGE", "SUBSCRIBE", "SUBSCRIBE", "NEW_CHAPTER", "NEW_CHAPTER", "ACK"),
        *("PING", "PONG", "UNSUBSCRIBE", "UNSUBSCRIBE", "PING", "CHALLENGE"),
    ]


def test_the_proof_of_the_example_is_right() -> None:
    asked = next(message for _, message in EXCHANGE if "proof" in message)
    assert asked["user_id"] == USER
    assert asked["proof"] == proof(KEY, USER, asked["cookie"])


@pytest.mark.parametrize(("language", "program"), [("python", sys.executable), ("sh", "bash")])
def test_the_snippets_compute_that_proof(language: str, program: str) -> None:
    if language == "sh" and shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    snippet = next(text for text in fenced(language) if "subscribe|" in text)
    done = subprocess.run(
        [program, "-c", snippet], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == next(m["proof"] for _, m in EXCHANGE if "proof" in m)


def test_before_the_cookie_returns_no_answer_is_longer_than_its_question() -> None:
    lines = re.findall(r"^\d+\.\d\d [→←] (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == len(EXCHANGE)
    for question, answer in pairwise(lines):
        if '"CHALLENGE"' in answer:
            assert len(answer) <= len(question)
    assert max(map(len, lines)) <= 1200


def plain(message: Message) -> Message:
    return {name: "…" if name in PASSING else value for name, value in message.items()}


@contextmanager
def serving(start_program: Callable[..., Any], url: str) -> Iterator[dict[str, str]]:
    """The real server with the example's secret; yields its addresses."""
    own = {"DATABASE_URL": url, "NOTIFY_SECRET": SECRET, "UDP_PORT": "0", "UDP_HTTP_PORT": "0"}
    process = start_program("notify_server", "serve", "--json", env=own)
    yield json.loads(process.stdout.readline())
    process.terminate()
    assert process.wait(15) == 0


class Follower(UdpClient):
    """A client that follows the example."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        super().__init__((host, int(port)), USER, KEY)
        self._known: Message = {}

    def send_like(self, message: Message) -> None:
        """Send it with what this server has given in place of what that one gave."""
        current = {name: self._known.get(name, value) for name, value in message.items()}
        if message.get("cookie") == "":
            current["cookie"] = ""
        if "proof" in message:
            current["proof"] = self.proof(str(current["cookie"]), ack=True)
        self.send(current)

    def hear(self) -> Message:
        message = self.receive()
        self._known |= {name: message[name] for name in ("cookie", "session") if name in message}
        if "id" in message:
            self._known["ids"] = [message["id"]]
        return message


def test_the_server_still_answers_as_in_the_example(
    start_program: Callable[..., Any], run_program: Callable[..., Any], database_url: str
) -> None:
    manga = next(m for _, m in EXCHANGE if m["type"] == "NEW_CHAPTER")
    with sql.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO manga (id, slug, title) VALUES (%s, 'a', %s)", [1, manga["title"]]
        )
    own = {"DATABASE_URL": database_url, "NOTIFY_SECRET": SECRET}
    for arguments in (("user", "add", "reader", "--id", USER), ("library", "add", "reader", "1")):
        assert run_program("notify_server", *arguments, env=own).code == 0
    assert run_program("notify_server", "key", "reader", env=own).stdout.strip() == KEY

    body = json.loads(found(r"`POST /notify/new-chapter` with\n`(\{.*\})`"))
    with serving(start_program, database_url) as server, closing(Follower(server["udp"])) as client:
        is_posted = False
        for arrow, message in EXCHANGE:
            if message["type"] == "NEW_CHAPTER" and not is_posted:
                is_posted = True
                url = f"http://{server['http']}/notify/new-chapter"
                assert requests.post(url, json=body, timeout=10).status_code == 202
            if arrow == "→":
                client.send_like(message)
            else:
                assert plain(client.hear()) == plain(message)
