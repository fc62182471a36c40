"""SUBSCRIBE, PING, UNSUBSCRIBE and ACK over a real socket."""

from __future__ import annotations

import json
import socket
from time import monotonic
from typing import Any

import pytest

from tests.support.waiting import wait_until

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_the_first_answer_is_a_challenge_no_longer_than_the_question(
    server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(server, make_user())
    question = json.dumps(
        {"type": "SUBSCRIBE", "user_id": client.user_id}, separators=(",", ":")
    ).encode()
    client.send(question)
    answer = client.socket.recv(2000)
    assert len(answer) <= len(question)
    assert json.loads(answer)["type"] == "CHALLENGE"


def test_a_question_too_short_for_an_answer_gets_none(server: Any, make_client: Any) -> None:
    client = make_client(server, UNKNOWN)
    for question in (b'{"type":"PING"}', b'{"type":"SUBSCRIBE","user_id":""}', b"x", b""):
        client.send(question)
    assert client.is_silent()


def test_a_confirmation_has_session_and_ttl(server: Any, make_client: Any, make_user: Any) -> None:
    confirmation = make_client(server, make_user()).subscribe()
    assert set(confirmation) == {
        "type",
        "manga_id",
        "title",
        "message",
        "timestamp",
        "session",
        "ttl",
    }
    assert confirmation["ttl"] == 300
    assert len(bytes.fromhex(confirmation["session"])) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"proof": "0" * 64},
        {"proof": ""},
        {"user_id": UNKNOWN},
        {"ack": False},
        {"user_id": "no uuid"},
    ],
)
def test_a_proof_that_does_not_fit_is_answered_with_an_error_only(
    server: Any, make_client: Any, make_user: Any, change: dict[str, object]
) -> None:
    client = make_client(server, make_user())
    client.send({**client.request(client.cookie()), **change})
    error = client.receive()
    assert error["type"] == "ERROR"
    assert error["code"] and error["message"]
    assert client.is_silent()
    assert server.metric("clients") == 0


def test_another_addresss_cookie_is_challenged_again(
    server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(server, make_user())
    thief = make_client(server, client.user_id)
    thief.send(client.request(client.cookie()))
    assert thief.receive()["type"] == "CHALLENGE"
    assert server.metric("clients") == 0


def test_a_key_is_rotated_away_with_its_clients(
    server: Any,
    make_client: Any,
    make_user: Any,
    run_program: Any,
    settings: dict[str, str],
) -> None:
    client = make_client(server, make_user())
    client.subscribe()
    finished = run_program("notify_server", "key", client.user_id, "--rotate", env=settings)
    assert finished.code == 0
    wait_until(lambda: server.metric("clients") == 0)
    client.send(client.request(client.cookie()))
    assert client.receive()["type"] == "ERROR"
    client.key = finished.stdout.splitlines()[-1]
    assert client.subscribe()["type"] == "SUBSCRIBE"


@pytest.mark.parametrize("retry_offsets_s", [(0.3, 60.0, 180.0)])
def test_a_repeated_subscription_is_confirmed_with_the_same_session_and_restarts_nothing(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    client = make_client(server, make_user())
    session = client.subscribe()["session"]
    posted_s = monotonic()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    first = client.receive_type("NEW_MANGA")
    assert client.subscribe()["session"] == session
    assert client.receive_type("NEW_MANGA") == first
    assert monotonic() - posted_s > 0.25, "not before its time"
    client.ack(first["id"])
    assert client.is_silent()


def test_ping_is_answered_for_the_right_user_and_session_only(
    server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(server, make_user())
    client.subscribe()
    client.ping()
    assert client.receive() == {"type": "PONG", "session": client.session}
    client.send({"type": "PING", "session": "0" * 32, "user_id": client.user_id})
    client.send({"type": "PING", "user_id": client.user_id})
    assert client.is_silent()
    client.send({"type": "PING", "session": client.session, "user_id": UNKNOWN})
    assert client.receive()["type"] == "CHALLENGE"


def test_a_ping_of_a_stranger_is_challenged_so_that_it_learns_of_a_restart(
    server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(server, make_user())
    client.session = "0" * 32
    client.ping()
    assert client.receive()["type"] == "CHALLENGE"


def test_unsubscribing_is_confirmed_and_ends_the_notifications(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    client = make_client(server, make_user())
    client.subscribe()
    client.send({"type": "UNSUBSCRIBE", "session": client.session, "user_id": client.user_id})
    confirmation = client.receive()
    assert confirmation["type"] == "UNSUBSCRIBE"
    assert confirmation["message"].startswith("Successfully ")
    assert confirmation["session"] == client.session
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    assert client.is_silent()


@pytest.mark.parametrize(
    "change",
    [
        {"session": "0" * 32},
        {"user_id": UNKNOWN},
        {"session": None},
        {"user_id": None},
    ],
)
def test_another_users_unsubscribe_changes_nothing(
    server: Any, make_client: Any, make_user: Any, change: dict[str, object]
) -> None:
    client = make_client(server, make_user())
    client.subscribe()
    own = {"type": "UNSUBSCRIBE", "session": client.session, "user_id": client.user_id}
    client.send({**own, **change})
    assert client.is_silent()
    assert server.metric("clients") == 1


@pytest.mark.parametrize("retry_offsets_s", [(0.3, 60.0, 180.0)])
def test_another_clients_ack_changes_nothing(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    client, other = make_client(server, make_user()), make_client(server, make_user())
    client.subscribe()
    other.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    id = client.receive_type("NEW_MANGA")["id"]
    other.ack(id, other.receive_type("NEW_MANGA")["id"])  # with a foreign id
    other.session = client.session
    other.ack(id)  # with a foreign session
    assert client.receive_type("NEW_MANGA")["id"] == id  # still owed
    client.ack(id)
    assert connection.execute("SELECT count(*) FROM notifications").fetchone() == (2,)


def test_an_address_holds_one_user(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    client = make_client(server, make_user())
    old_session = client.subscribe()["session"]
    other = make_client(server, make_user())
    client.user_id, client.key = other.user_id, other.key
    assert client.subscribe()["session"] != old_session
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    assert client.receive_type("NEW_MANGA")["session"] == client.session
    assert server.metric("clients") == 1


def test_a_user_holds_at_most_16_clients(server: Any, make_client: Any, make_user: Any) -> None:
    user = make_user()
    clients = [make_client(server, user) for _ in range(17)]
    for client in clients[:16]:
        client.subscribe()
    clients[0].ping()
    assert clients[0].receive()["type"] == "PONG"
    clients[16].subscribe()
    assert server.metric("clients") == 16
    clients[1].ping()  # the one silent longest had to go
    assert clients[1].receive()["type"] == "CHALLENGE"
    clients[0].ping()
    assert clients[0].receive()["type"] == "PONG"


def test_ipv6_works_too(
    start_server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    server = start_server({"NOTIFY_BIND": "::1"})
    client = make_client(server, make_user())
    client.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    assert len(client.read(1)) == 1


def test_the_wildcard_address_takes_both_families(
    start_server: Any, make_client: Any, make_user: Any
) -> None:
    server = start_server({"NOTIFY_BIND": "::", "NOTIFY_API_KEY": "key"})
    port = server.udp[1]
    user = make_user()
    for host in ("127.0.0.1", "::1"):
        server.udp = (host, port)
        assert make_client(server, user).subscribe()["type"] == "SUBSCRIBE"


def test_nonsense_gets_no_answer_and_does_no_harm(
    server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(server, make_user())
    client.subscribe()
    nonsense = [
        b"\x00" * 100,
        b"\xff\xfe",
        b"[" * 65000,
        b'{"a":' * 10000,
        b"x" * 65507,
        b'{"type":"ACK","session":"%b","ids":[%b]}' % (client.session.encode(), b"9" * 900),
        b'{"type":"ACK","session":"%b","ids":[NaN,1e999,-1,true]}' % client.session.encode(),
        b'{"type":"PING","session":{"$gt":""},"user_id":[]}',
    ]
    for datagram in nonsense:
        client.send(datagram)
    assert client.is_silent()
    client.ping()
    assert client.receive()["type"] == "PONG"


def test_a_refused_datagram_disturbs_no_other_client(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    stays = make_client(server, make_user())
    vanishes = [make_client(server, make_user()) for _ in range(5)]
    for client in [*vanishes, stays]:
        client.subscribe()
    for client in vanishes:
        client.close()  # from now on its port refuses
    manga = make_manga()
    for _ in range(10):
        server.post("new-manga", {"manga_id": manga, "title": "T"})
    assert len(stays.read(10)) == 10


def test_ten_thousand_subscriptions_from_one_address_cost_nothing(
    server: Any, make_client: Any, make_user: Any
) -> None:
    user = make_user()
    flood = make_client(server, user)
    flood.socket.setblocking(False)
    for _ in range(10_000):
        flood.send({"type": "SUBSCRIBE", "user_id": user, "cookie": ""})
        try:
            flood.socket.recv(2000)
        except BlockingIOError:
            pass
    assert make_client(server, user).subscribe()["type"] == "SUBSCRIBE"
    assert server.metric("clients") == 1


def test_a_thousand_clients_at_once_are_all_registered(
    server: Any, make_client: Any, make_user: Any
) -> None:
    users = [make_user() for _ in range(100)]
    clients = [make_client(server, users[n % 100]) for n in range(1000)]
    requests = [(client, client.request(client.cookie())) for client in clients]
    for client, request in requests:
        client.send(request)
    for client in clients:
        assert client.receive_type("SUBSCRIBE", timeout=10)["session"]
    assert server.metric("clients") == 1000


def test_a_client_that_forges_its_address_is_never_registered(
    server: Any, make_client: Any, make_user: Any
) -> None:
    """The cookie goes to the address that was given, which did not ask."""
    client = make_client(server, make_user())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.sendto(json.dumps(client.request("A" * 27)).encode(), server.udp)
        other.settimeout(5)
        assert json.loads(other.recv(2000))["type"] == "CHALLENGE"
    assert server.metric("clients") == 0
