"""Several servers over one database."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import psycopg
import pytest
from pytest_mock import MockerFixture

import sql
from notify_server.store import receipts
from tests.support.waiting import wait_until


def test_each_pushes_every_event_to_its_own_clients_once(
    start_server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    servers = [start_server() for _ in range(3)]
    user = make_user()
    manga = make_manga("T", (user,))
    clients = [make_client(s, user) for s in servers]
    for client in clients:
        client.subscribe()
    for n in range(9):
        servers[n % 3].post("new-chapter", {"manga_id": manga, "title": f"{n}", "chapter": n})
    for client in clients:
        bodies = client.read(9)
        assert sorted(b["title"] for b in bodies) == [f"{n}" for n in range(9)]
    for client in clients:
        assert client.is_silent(0.2)


def test_what_another_server_marked_is_pushed_all_the_same(
    start_server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    one, two = start_server(), start_server()
    user = make_user()
    quick, other = make_client(one, user), make_client(two, user)
    quick.subscribe()
    other.subscribe()
    for n in range(20):
        one.post("new-manga", {"manga_id": make_manga(), "title": f"{n}"})
        quick.read(1)
    assert [b["title"] for b in other.read(20)] == [f"{n}" for n in range(20)]


def test_they_take_each_others_cookies(start_server: Any, make_client: Any, make_user: Any) -> None:
    one, two = start_server(), start_server()
    client = make_client(one, make_user())
    request = client.request(client.cookie())
    client.server = two.udp
    client.send(request)
    assert client.receive()["type"] == "SUBSCRIBE"


def test_after_an_interruption_they_catch_up(
    start_server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    one, two = start_server(), start_server()
    user, manga = make_user(), make_manga()
    client = make_client(two, user)
    client.subscribe()
    for n in range(10):
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
        )
        answer = one.post("new-manga", {"manga_id": manga, "title": f"{n}", "event_id": f"{n}"})
        if answer.status_code == 503:
            one.post("new-manga", {"manga_id": manga, "title": f"{n}", "event_id": f"{n}"})
    titles = sorted(b["title"] for b in client.read(10, timeout=10))
    assert titles == [f"{n}" for n in range(10)]
    assert client.is_silent()


@pytest.mark.slow
def test_an_interruption_of_the_catching_up_loses_nothing(
    start_server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: Any,
    mocker: MockerFixture,
) -> None:
    one, two = start_server(), start_server()
    user, manga = make_user(), make_manga()
    client = make_client(two, user)
    client.subscribe()
    failures = [sql.DatabaseDown("it went away again")] * 3
    load = mocker.patch.object(
        receipts,
        "load_portion",
        wraps=receipts.load_portion,
        side_effect=chain(failures, repeat(mocker.DEFAULT)),
    )
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
    )
    for n in range(3):
        body = {"manga_id": manga, "title": f"{n}", "event_id": f"{n}"}
        while one.post("new-manga", body).status_code == 503:
            pass
    assert sorted(b["title"] for b in client.read(3, timeout=10)) == ["0", "1", "2"]
    assert load.call_count > 3
    assert client.is_silent()


def test_a_check_and_a_wake_up_for_the_same_event_push_it_once(
    start_server: Any, make_client: Any, make_user: Any, make_manga: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("notify_server.publish.other_servers._LOOK_INTERVAL_S", 0.0)
    one, two = start_server(), start_server()
    user, manga = make_user(), make_manga()
    clients = [make_client(s, user) for s in (one, two)]
    for client in clients:
        client.subscribe()
    for n in range(100):
        one.post("new-manga", {"manga_id": manga, "title": f"{n}"})
        for client in clients:
            assert [b["title"] for b in client.read(1)] == [f"{n}"]
    for client in clients:
        assert client.is_silent(0.2)


def test_a_rotation_whose_wake_up_was_lost_is_found_by_the_next_look(
    start_server: Any, make_client: Any, make_user: Any, connection: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("notify_server.publish.other_servers._LOOK_INTERVAL_S", 0.1)
    server = start_server()
    client, other = make_client(server, make_user()), make_client(server, make_user())
    client.subscribe()
    other.subscribe()
    connection.execute(
        "INSERT INTO notify_keys (user_id, generation, rotated_at) VALUES (%s, 1, now())",
        (client.user_id,),
    )
    wait_until(lambda: server.metric("clients") == 1)
    other.ping()
    assert other.receive()["type"] == "PONG"


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "x",
        "[]",
        "{}",
        "null",
        '{"event_id": null}',
        '{"event_id": "unknown"}',
        '{"rotated": "x"}',
        '{"rotated": 5, "generation": []}',
        "[" * 5000,
    ],
)
def test_nonsense_on_the_channel_does_no_harm(
    server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: psycopg.Connection[Any],
    payload: str,
) -> None:
    client = make_client(server, make_user())
    client.subscribe()
    connection.execute("SELECT pg_notify('mangahub_notifications', %s)", (payload,))
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    assert len(client.read(1)) == 1
    assert server.get("/readyz").status_code == 200
