"""Clients of the original kind: no cookie, no proof, no session."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.waiting import wait_until


def plain(client: Any, kind: str = "SUBSCRIBE") -> None:
    client.send({"type": kind, "user_id": client.user_id})


@pytest.fixture
def legacy_server(start_server: Any) -> Any:
    return start_server({"NOTIFY_LEGACY_CLIENTS": "loopback"})


@pytest.mark.parametrize("retry_offsets_s", [(0.3, 60.0, 180.0)])
def test_a_plain_subscription_is_confirmed_and_gets_what_it_missed(
    legacy_server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: Any,
) -> None:
    user, manga = make_user(), make_manga("T")
    legacy_server.post("new-manga", {"manga_id": manga, "title": "T"})
    client = make_client(legacy_server, user)
    plain(client)
    confirmation = client.receive()
    assert confirmation["type"] == "SUBSCRIBE"
    assert confirmation["message"].startswith("Successfully ")
    assert "session" not in confirmation
    missed = client.receive()
    assert missed["message"] == "New manga added: T"
    assert "session" not in missed
    legacy_server.post("new-manga", {"manga_id": manga, "title": "T"})
    assert client.receive()["type"] == "NEW_MANGA"
    wait_until(
        lambda: (
            connection.execute(
                "SELECT count(*) FROM notifications WHERE read AND delivered_at IS NULL"
            ).fetchone()
            == (2,)
        )
    )
    assert client.is_silent(0.6)


def test_a_pong_is_exactly_the_original_one(
    legacy_server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(legacy_server, make_user())
    plain(client)
    client.receive()
    plain(client, "PING")
    assert client.socket.recv(2000) == b'{"type":"PONG"}'
    client.send({"type": "PING"})
    assert client.socket.recv(2000) == b'{"type":"PONG"}'


def test_unsubscribing_works_the_original_way(
    legacy_server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(legacy_server, make_user())
    plain(client)
    client.receive()
    plain(client, "UNSUBSCRIBE")
    assert client.receive()["type"] == "UNSUBSCRIBE"
    assert legacy_server.metric("clients") == 0


@pytest.mark.parametrize("mode", ["off", "loopback", "any"])
def test_an_empty_cookie_is_challenged_in_every_mode(
    start_server: Any, make_client: Any, make_user: Any, mode: str
) -> None:
    client = make_client(start_server({"NOTIFY_LEGACY_CLIENTS": mode}), make_user())
    assert client.cookie()
    assert client.subscribe()["session"]


def test_with_off_a_plain_subscription_is_challenged(
    server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(server, make_user())
    plain(client)
    assert client.receive()["type"] == "CHALLENGE"
    assert server.metric("clients") == 0


@pytest.mark.parametrize("user_id", ["00000000-0000-4000-8000-000000000000", "nobody", ""])
def test_an_unknown_user_gets_no_answer_that_helps(
    legacy_server: Any, make_client: Any, user_id: str
) -> None:
    client = make_client(legacy_server, user_id)
    plain(client)
    assert client.is_silent()
    assert legacy_server.metric("clients") == 0


def test_a_plain_subscription_does_not_replace_a_proved_client(
    legacy_server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(legacy_server, make_user())
    client.subscribe()
    intruder = make_user()
    client.send({"type": "SUBSCRIBE", "user_id": intruder})  # as if from its address
    assert client.receive()["type"] == "CHALLENGE"
    client.ping()
    assert client.receive()["type"] == "PONG"


def test_a_later_proof_replaces_a_plain_client(
    legacy_server: Any, make_client: Any, make_user: Any
) -> None:
    client = make_client(legacy_server, make_user())
    plain(client)
    client.receive()
    assert client.subscribe()["session"]
    assert legacy_server.metric("clients") == 1


def test_an_acknowledging_client_keeps_a_plain_one_from_marking(
    legacy_server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    user = make_user()
    old, new = make_client(legacy_server, user), make_client(legacy_server, user)
    plain(old)
    old.receive()
    new.subscribe()
    legacy_server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    old.receive_type("NEW_MANGA")
    new.receive_type("NEW_MANGA")
    assert old.is_silent(0.2)
    assert connection.execute("SELECT read IS TRUE FROM notifications").fetchone() == (False,)


def test_any_warns_at_start(start_program_server: Any, make_client: Any, make_user: Any) -> None:
    server = start_program_server({"NOTIFY_LEGACY_CLIENTS": "any", "LOG_FORMAT": "json"})
    server.process.terminate()
    _, stderr = server.process.communicate(timeout=10)
    levels = [json.loads(line)["level"] for line in stderr.splitlines()]
    assert "WARNING" in levels
