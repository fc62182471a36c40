"""Client datagrams and the server's short answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify_server.wire import protocol
from notify_server.wire.auth import Cookies
from notify_server.wire.protocol import Ack, Ping, Subscribe, Unsubscribe, parse

USER = "5f1d2c3b-0000-4000-8000-00000000cafe"
SESSION = "0" * 32


def encoded(**body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


@given(st.binary(max_size=1300))
def test_any_bytes_are_a_message_or_nothing(datagram: bytes) -> None:
    message = parse(datagram)
    assert message is None or isinstance(message, Subscribe | Ack | Ping | Unsubscribe)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
names = ("user_id", "cookie", "ack", "proof", "session", "ids")


@given(
    st.sampled_from(["SUBSCRIBE", "ACK", "PING", "UNSUBSCRIBE"]),
    st.fixed_dictionaries({}, optional={n: json_values | st.just(USER) for n in names}),
)
def test_fields_of_wrong_types_make_no_message(kind: str, body: dict[str, Any]) -> None:
    message = parse(encoded(type=kind, **body))
    if isinstance(message, Ack):
        assert isinstance(message.session, str)
        assert all(type(i) is int for i in message.ids)
    elif isinstance(message, Subscribe):
        (message.user_text + message.proof + (message.cookie or "")).encode()


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"null",
        b"[]",
        b'"SUBSCRIBE"',
        b"{}",
        b"\xff\xfe\x00",
        b"[" * 1200,
        b'{"type":' * 150,
        b'{"type":"NONSENSE"}',
        b'{"type":5}',
        b'{"type":["ACK"]}',
        b'{"type":"ACK","session":"s","ids":[' + b"9" * 1100 + b".5]}",
        encoded(type="ACK", session="s", ids=[True]),
        encoded(type="ACK", session="s", ids=[1.0]),
        encoded(type="ACK", session="s", ids={"1": 1}),
        encoded(type="ACK", session=None, ids=[1]),
        encoded(type="ACK", ids=[1]),
        json.dumps({"type": "PING", "user_id": USER}).encode("utf-16"),
        json.dumps({"type": "PING", "user_id": USER}).encode("utf-8-sig"),
        b'{"type":"PING","user_id":"%b","pad":"\xed\xa0\x80"}' % USER.encode(),
        encoded(type="PING", user_id="no uuid"),
        encoded(type="PING", user_id=7),
        encoded(type="PING", session=7, user_id=USER),
        encoded(type="SUBSCRIBE"),
        encoded(type="SUBSCRIBE", user_id=None),
        encoded(type="SUBSCRIBE", user_id=USER, cookie=None),
        encoded(type="SUBSCRIBE", user_id=USER, cookie="", ack=1),
        encoded(type="SUBSCRIBE", user_id=USER, cookie="\ud800"),
        encoded(type="SUBSCRIBE", user_id=USER, cookie="", pad="x" * 1200),
        b'{"type":"ACK","session":"s","ids":[NaN]}',
    ],
)
def test_what_is_malformed_is_no_message(datagram: bytes) -> None:
    assert parse(datagram) is None


def test_messages_are_read() -> None:
    user = protocol.user_bytes(USER)
    assert parse(encoded(type="ACK", session=SESSION, ids=[1, 2])) == Ack(SESSION, [1, 2])
    assert parse(encoded(type="PING", session=SESSION, user_id=USER)) == Ping(SESSION, user)
    assert parse(encoded(type="UNSUBSCRIBE", user_id=USER)) == Unsubscribe(None, user)
    assert parse(encoded(type="SUBSCRIBE", user_id=USER)) == Subscribe(user, USER, None, False, "")
    assert parse(
        encoded(type="SUBSCRIBE", user_id=USER.upper(), cookie="c", ack=True, proof="p")
    ) == Subscribe(user, USER.upper(), "c", True, "p")


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
@pytest.mark.parametrize("ids", [[1], [2**60], [10**18], [0], [-1], [], [1, 2], [2**63]])
def test_an_ack_is_read_however_it_is_written(separators: tuple[str, str], ids: list[int]) -> None:
    body = {"type": "ACK", "session": SESSION, "ids": ids}
    assert parse(json.dumps(body, separators=separators).encode()) == Ack(SESSION, ids)


def test_a_user_id_that_is_no_uuid_is_kept_for_an_error() -> None:
    for text in ("", "x", USER[:-1], USER + "0", "{" + USER + "}", USER.replace("-", "")):
        message = parse(encoded(type="SUBSCRIBE", user_id=text, cookie=""))
        assert isinstance(message, Subscribe)
        assert message.user is None


def test_a_challenge_is_no_longer_than_the_shortest_questions() -> None:
    cookie = Cookies("secret").make(("127.0.0.1", 65535), 1e9)
    answer = protocol.challenge(cookie)
    assert len(cookie) <= 37
    assert len(answer) <= len(encoded(type="SUBSCRIBE", user_id=USER))
    assert len(answer) <= len(encoded(type="PING", user_id=USER))


def test_a_pong_without_session_is_exactly_the_original_one() -> None:
    assert protocol.pong(None) == b'{"type":"PONG"}'
    assert json.loads(protocol.pong(SESSION)) == {"type": "PONG", "session": SESSION}


def test_a_confirmation_carries_session_and_ttl() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for kind in ("SUBSCRIBE", "UNSUBSCRIBE"):
        body = json.loads(protocol.confirmation(kind, now, SESSION))
        assert body.pop("message").startswith("Successfully ")
        assert body == {
            "type": kind,
            "manga_id": 0,
            "title": "",
            "timestamp": "2026-01-31T12:00:00.000000Z",
            "session": SESSION,
            "ttl": 300,
        }
