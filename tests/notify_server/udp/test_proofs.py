"""Wrong proofs are paced by host; right ones, also of rotated keys, are not."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest

from notify_server.udp import proofs
from notify_server.udp.proofs import Proofs
from notify_server.wire import auth
from notify_server.wire.protocol import Subscribe
from readers.keys import derive_key

SECRET = "a secret for tests"
USER = uuid4()


def message(generation: int = 0, secret: str = SECRET) -> Subscribe:
    key = derive_key(secret, str(USER), generation)
    proof = auth.subscribe_proof(key, str(USER), True, "cookie")
    return Subscribe(USER.bytes, str(USER), "cookie", True, proof)


def asks(found: Proofs, what: Subscribe, times: int, host: str = "192.0.2.7", at: float = 0) -> int:
    return sum(found.may_ask(USER.bytes, what, (host, 1), at) for _ in range(times))


def test_right_proofs_may_always_ask() -> None:
    assert asks(Proofs(SECRET), message(), 1_000) == 1_000


def test_wrong_ones_may_ask_as_often_as_their_host_may_be_wrong() -> None:
    found = Proofs(SECRET)
    wrong = message(secret="another")
    assert asks(found, wrong, 1_000) == 20
    assert asks(found, wrong, 1_000, at=1.0) == 10
    assert asks(found, wrong, 1_000, host="192.0.2.8", at=1.0) == 20
    assert asks(found, wrong, 1_000, at=1_000) == 20


def test_an_address_that_goes_on_being_wrong_is_not_read_for_a_while() -> None:
    found = Proofs(SECRET)
    address = ("192.0.2.7", 1)
    asks(found, message(secret="another"), 2)
    assert not found.is_paused(address, 0)
    asks(found, message(secret="another"), 1)
    assert found.is_paused(address, 4)
    assert not found.is_paused(address, 5)
    assert not found.is_paused(("192.0.2.7", 2), 4)
    found.forgive(address)
    assert not found.is_paused(address, 4)


def test_the_generation_of_a_key_is_learnt() -> None:
    found = Proofs(SECRET)
    assert asks(found, message(3), 1_000) == 20
    found.learn(USER.bytes, 3)
    assert asks(found, message(3), 1_000) == 1_000


@pytest.mark.parametrize(
    ("host", "neighbour", "left"),
    [
        ("2001:db8::1", "2001:db8::2", 0),
        ("2001:db8::1", "2001:db8:0:1::1", 20),
        ("fe80::1%eth0", "fe80::2%eth0", 0),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 20),
    ],
)
def test_an_ipv6_network_is_one_host(host: str, neighbour: str, left: int) -> None:
    found = Proofs(SECRET)
    wrong = message(secret="another")
    asks(found, wrong, 1_000, host)
    assert asks(found, wrong, 1_000, neighbour) == left


def test_hosts_are_forgotten_and_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MAX_KEPT", 3)
    found = Proofs(SECRET)
    for number in range(10):
        asks(found, message(secret="another"), 1, f"192.0.2.{number}")
    assert list(found._hosts) == [f"192.0.2.{number}" for number in (7, 8, 9)]


def test_a_client_gets_in_while_its_neighbours_are_wrong(
    server: Any, make_client: Any, make_user: Any
) -> None:
    began = monotonic()
    crowd = [make_client(server, str(UUID(int=number))) for number in range(100)]
    for wrong in crowd:
        wrong.ask()
        cookie = json.loads(wrong.socket.recv(2000))["cookie"]
        body = {"type": "SUBSCRIBE", "user_id": wrong.user_id, "cookie": cookie, "proof": "0" * 64}
        wrong.send(body)
    assert make_client(server, make_user()).subscribe()["session"]
    answered = sum(not wrong.is_silent(0.01) for wrong in crowd)
    assert 0 < answered <= 20 + 10 * (monotonic() - began) + 1
