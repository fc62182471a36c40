"""What clients get, how often, in which order, and what is marked in the database."""

from __future__ import annotations

import heapq
import json
import random
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

import sql
from tests.support.waiting import wait_until


def read_state(connection: Any) -> list[tuple[bool, bool]]:
    rows = connection.execute(
        "SELECT read IS TRUE, delivered_at IS NOT NULL FROM notifications ORDER BY id"
    )
    return [tuple(row) for row in rows.fetchall()]


EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("new-manga", {"title": "One"}),
    ("new-chapter", {"title": "Two", "chapter": 10.5, "old_chapter": 10}),
    ("new-chapter", {"title": "Three", "chapter": None}),
    (
        "new-chapter",
        {"title": "Four", "chapter": 190, "old_chapter": 180, "chapters": [181, 182.5, 190]},
    ),
    (
        "manga-update",
        {
            "title": "Five",
            "changes": ["title", "status"],
            "detailed_changes": [
                {"field": "title", "old_value": "Viér", "new_value": "Five"},
                {"field": "status", "old_value": None, "new_value": ["a", {"b": 1.5}]},
            ],
        },
    ),
    ("manga-update", {"title": "x" * 5000, "changes": ["cover_url"]}),
]


def test_a_replayed_message_equals_the_live_one(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    user = make_user()
    manga = make_manga("A", (user,))
    live, later = make_client(server, user), make_client(server, user)
    live.subscribe()
    for kind, body in EVENTS:
        assert server.post(kind, {"manga_id": manga, **body}).status_code == 202
    seen = [live.receive() for _ in EVENTS]
    later.subscribe()
    replayed = later.read(len(EVENTS))
    for one, two in zip(seen, replayed, strict=True):
        assert {**one, "session": ""} == {**two, "session": ""}


def test_500_unread_are_replayed_in_order_and_none_twice(
    server: Any, make_client: Any, make_user: Any, connection: Any
) -> None:
    user = make_user()
    connection.execute(
        "INSERT INTO notifications (user_id, type, message) "
        "SELECT %s, 'NEW_MANGA', 'Message ' || n FROM generate_series(1, 500) n",
        (user,),
    )
    client = make_client(server, user)
    client.subscribe()
    messages = [body["message"] for body in client.read(500)]
    assert messages == [f"Message {n}" for n in range(1, 501)]
    wait_until(lambda: read_state(connection) == [(True, True)] * 500)
    assert client.is_silent()


def test_only_the_newest_1000_are_replayed(
    server: Any, make_client: Any, make_user: Any, connection: Any
) -> None:
    user = make_user()
    connection.execute(
        "INSERT INTO notifications (user_id, message, read) "
        "SELECT %s, n::text, CASE WHEN n %% 2 = 0 THEN NULL ELSE false END "
        "FROM generate_series(1, 1100) n",
        (user,),
    )
    client = make_client(server, user)
    client.subscribe()
    assert [body["message"] for body in client.read(1000)] == [str(n) for n in range(101, 1101)]
    assert client.is_silent()


def test_rows_from_before_the_adoption_are_not_replayed(
    server: Any, make_client: Any, make_user: Any, connection: Any
) -> None:
    user = make_user()
    rows = connection.execute(
        "INSERT INTO notifications (user_id, message) VALUES (%s, 'old'), (%s, 'new') RETURNING id",
        (user, user),
    ).fetchall()
    connection.execute(
        "UPDATE mangahub_meta SET value = value || %s WHERE key = 'adoption'",
        (json.dumps({"last_notification_id": rows[0][0]}),),
    )
    client = make_client(server, user)
    client.subscribe()
    assert client.read(1)[0]["message"] == "new"
    assert client.is_silent()


def test_rows_of_other_programs_are_replayed_as_they_are(
    server: Any, make_client: Any, make_user: Any, connection: Any
) -> None:
    user = make_user()
    connection.execute(
        "INSERT INTO notifications (user_id, type, title, message, data, created_at) VALUES "
        "(%(u)s, NULL, NULL, 'bare', NULL, NULL), "
        "(%(u)s, 'ODD', 'T', 'odd', '[1]', now()), "
        "(%(u)s, 'HUGE', 'T', 'huge', '{\"data\": {\"n\": 1e400}, \"changes\": 5}', now())",
        {"u": user},
    )
    client = make_client(server, user)
    client.subscribe()
    bodies = client.read(3)
    assert [body["message"] for body in bodies] == ["bare", "odd", "huge"]
    assert [body["type"] for body in bodies] == ["NOTIFICATION", "ODD", "HUGE"]
    assert all(body["changes"] == [] for body in bodies)


def test_what_is_acknowledged_is_not_replayed_to_the_next_client(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    user, manga = make_user(), make_manga()
    first, second = make_client(server, user), make_client(server, user)
    first.subscribe()
    for _ in range(20):
        server.post("new-manga", {"manga_id": manga, "title": "T"})
    first.read(20)
    second.subscribe()  # at once, before anything can have been marked
    assert second.is_silent()


@pytest.mark.parametrize("retry_offsets_s", [(0.3, 60.0, 180.0)])
def test_every_client_of_a_user_gets_everything_and_the_first_ack_counts(
    server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: Any,
) -> None:
    user = make_user()
    clients = [make_client(server, user) for _ in range(3)]
    for client in clients:
        client.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    ids = {client.receive_type("NEW_MANGA")["id"] for client in clients}
    assert len(ids) == 1
    clients[0].ack(*ids)
    wait_until(lambda: read_state(connection) == [(True, True)])
    assert clients[1].receive_type("NEW_MANGA")["id"] in ids  # keeps its own retries
    assert clients[0].is_silent(0.1)


def test_a_row_that_another_program_keeps_locked_delays_no_other_and_is_marked_later(
    server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: Any,
    database_url: str,
) -> None:
    client, manga = make_client(server, make_user()), make_manga()
    client.subscribe()
    for _ in range(2):
        server.post("new-manga", {"manga_id": manga, "title": "T"})
    locked, free = (client.receive_type("NEW_MANGA")["id"] for _ in range(2))
    with sql.connect(database_url) as other, other.transaction():
        other.execute("UPDATE notifications SET title = title WHERE id = %s", (locked,))
        client.ack(locked, free)
        wait_until(lambda: read_state(connection) == [(False, False), (True, True)])
        make_client(server, make_user()).subscribe()
    wait_until(lambda: read_state(connection) == [(True, True)] * 2)


def test_a_slow_client_with_much_to_acknowledge_does_not_keep_news_from_others(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    """Its ACKs are the only ones that come, so that they speak for all receivers."""
    slow, quick = make_user(), make_user()
    manga = make_manga(readers=(quick,))
    connection.execute(
        "INSERT INTO notifications (user_id, type, manga_id, title, message, event_id)"
        " SELECT %s, 'NEW_CHAPTER', %s, 'T', 'm', n FROM generate_series(1, 1000) AS n",
        (slow, manga),
    )
    reader, laggard = make_client(server, quick), make_client(server, slow)
    reader.subscribe()
    laggard.subscribe()
    is_over = threading.Event()
    thread = threading.Thread(target=acknowledge_late, args=(laggard, is_over))
    thread.start()
    try:
        is_over.wait(1)  # until its delays are known
        for chapter in range(3):
            body = {"manga_id": manga, "title": "T", "chapter": chapter + 1}
            server.post("new-chapter", body)
            reader.read(1, timeout=5)
    finally:
        is_over.set()
        thread.join()


def acknowledge_late(client: Any, is_over: threading.Event) -> None:
    """The first at once, the others after 0.02 to 0.5 s, one at a time."""
    due: list[tuple[float, int]] = []
    seen: set[int] = set()
    while not is_over.is_set():
        with suppress(TimeoutError):
            id = client.receive(0.005).get("id")
            if id is not None and id not in seen:
                delay = random.uniform(0.02, 0.5) if seen else 0.0
                seen.add(id)
                heapq.heappush(due, (monotonic() + delay, id))
        if due and due[0][0] <= monotonic():
            client.ack(heapq.heappop(due)[1])


@pytest.mark.parametrize("retry_offsets_s", [(0.3, 60.0, 180.0)])
def test_without_ack_sending_marks_as_read_and_nothing_is_sent_again(
    server: Any,
    make_client: Any,
    make_user: Any,
    make_manga: Any,
    connection: Any,
) -> None:
    client = make_client(server, make_user())
    client.subscribe(ack=False)
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    client.receive_type("NEW_MANGA")
    wait_until(lambda: read_state(connection) == [(True, False)])
    assert client.is_silent(0.6)


def test_an_acknowledging_client_decides_even_beside_one_without_ack(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    user = make_user()
    plain, careful = make_client(server, user), make_client(server, user)
    plain.subscribe(ack=False)
    careful.subscribe()
    server.post("new-manga", {"manga_id": make_manga(), "title": "T"})
    plain.receive_type("NEW_MANGA")
    careful.receive_type("NEW_MANGA")
    assert plain.is_silent(0.3)
    assert read_state(connection) == [(False, False)]


def test_500_unread_reach_a_client_without_ack_too(
    server: Any, make_client: Any, make_user: Any, connection: Any
) -> None:
    user = make_user()
    connection.execute(
        "INSERT INTO notifications (user_id, message) "
        "SELECT %s, n::text FROM generate_series(1, 500) n",
        (user,),
    )
    client = make_client(server, user)
    client.subscribe(ack=False)
    assert [client.receive()["message"] for _ in range(500)] == [str(n) for n in range(1, 501)]
    wait_until(lambda: read_state(connection) == [(True, False)] * 500)


def test_at_most_32_are_in_flight(
    server: Any, make_client: Any, make_user: Any, make_manga: Any
) -> None:
    user, manga = make_user(), make_manga()
    client = make_client(server, user)
    client.subscribe()
    for n in range(40):
        server.post("new-manga", {"manga_id": manga, "title": f"{n}"})
    first = [client.receive() for _ in range(32)]
    assert client.is_silent(0.2)
    client.ack(first[0]["id"], first[1]["id"])
    assert [client.receive()["title"] for _ in range(2)] == ["32", "33"]
    assert client.is_silent(0.2)


def test_events_go_to_readers_of_the_title_only(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    reader, stranger = make_user(), make_user()
    manga = make_manga("T", (reader,))
    client, other = make_client(server, reader), make_client(server, stranger)
    client.subscribe()
    other.subscribe()
    server.post("new-chapter", {"manga_id": manga, "title": "T", "chapter": 1})
    server.post("manga-update", {"manga_id": manga, "title": "T", "changes": ["status"]})
    assert [b["type"] for b in client.read(2)] == ["NEW_CHAPTER", "MANGA_UPDATE"]
    assert other.is_silent(0.2)
    found = connection.execute("SELECT DISTINCT user_id::text FROM notifications").fetchall()
    assert found == [(reader,)]


def test_news_during_a_replay_comes_after_it_and_nothing_is_lost_or_sent_twice(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    user, manga = make_user(), make_manga()
    connection.execute(
        "INSERT INTO notifications (user_id, message) "
        "SELECT %s, 'old' FROM generate_series(1, 200)",
        (user,),
    )
    client = make_client(server, user)
    request = client.request(client.cookie())
    server.post("new-manga", {"manga_id": manga, "title": "before"})
    client.send(request)
    for n in range(30):
        server.post("new-manga", {"manga_id": manga, "title": f"{n}"})
    assert client.receive_type("SUBSCRIBE")["session"]
    client.session = None
    ids: list[int] = []
    while len(ids) < 231:
        body = client.receive()
        client.session = body["session"]
        client.ack(body["id"])
        ids.append(body["id"])
    assert ids == sorted(set(ids))
    assert client.is_silent()


def test_a_client_that_was_skipped_gets_the_rest_from_the_database(
    start_server: Any, make_client: Any, make_user: Any, make_manga: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("notify_server.udp.clients._MAX_QUEUE", 10)
    server = start_server()
    client = make_client(server, make_user())
    client.subscribe()
    manga = make_manga()
    for n in range(100):
        server.post("new-manga", {"manga_id": manga, "title": f"{n}"})
    assert [body["title"] for body in client.read(100)] == [f"{n}" for n in range(100)]
    assert client.is_silent()
