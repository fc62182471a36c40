"""Replays, with a clock of our own."""

from __future__ import annotations

import pytest

from notify_server.udp.clients import Replay
from sql.snapshot import Snapshot
from tests.notify_server.udp.scene import Scene


def test_what_the_replay_saw_is_not_sent_live_and_the_rest_comes_after_it() -> None:
    scene = Scene()
    client = scene.client()
    client.replay = Replay()
    scene.push(10, to=client, xid=50)  # seen by the query
    scene.push(11, to=client, xid=60)  # still running when the query looked
    scene.push(9, to=client, xid=70)  # later, although its id is lower
    assert scene.sent == []
    scene.replay(client, [1, 10], Snapshot(60, 65, frozenset({60})))
    scene.load_pages()
    assert scene.ids(client) == [1, 10, 11, 9]
    scene.push(10, to=client, xid=50)  # a late wake-up for what the query saw
    assert scene.ids(client) == [1, 10, 11, 9]


def test_a_second_replay_leaves_out_what_is_in_flight_or_was_settled_meanwhile() -> None:
    scene = Scene()
    client = scene.client()
    scene.push(1, 2, 3, to=client)
    client.replay = Replay()
    scene.acknowledge(client, 1)
    scene.replay(client, [1, 2, 3, 4], Snapshot(200, 200, frozenset()))
    assert [page.ids for page in scene.database.pages] == [[4]]


def test_a_page_that_could_not_be_loaded_is_asked_for_again() -> None:
    scene = Scene()
    client = scene.client()
    scene.replay(client, [1, 2], Snapshot(1, 1, frozenset()))
    scene.load_pages(is_away=True)
    assert scene.database.pages == []
    scene.clients.mark_ready(client)
    scene.turn()
    assert [page.ids for page in scene.database.pages] == [[1, 2]]


def test_a_client_that_is_too_far_behind_is_skipped_and_asks_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("notify_server.udp.clients._MAX_QUEUE", 5)
    scene = Scene()
    client = scene.client()
    scene.push(*range(1, 101), to=client)
    assert client.is_behind
    assert scene.clients.queued == 5
    for id in range(1, 38):
        scene.acknowledge(client, id)
    assert scene.database.asked == [client.user]
    assert scene.database.acknowledged == [1, 2, 3, 4, 5]  # all that was so when it asked


def test_without_ack_a_replay_comes_in_portions_and_is_marked_as_read() -> None:
    scene = Scene()
    client = scene.client(ack=False)
    scene.replay(client, list(range(1, 201)), Snapshot(1, 1, frozenset()))
    for _ in range(50):
        scene.load_pages()
        before = len(scene.sent)
        scene.pass_time(0.01)
        assert len(scene.sent) - before <= 64
    scene.requests.flush_marks()
    assert scene.ids(client) == list(range(1, 201))
    assert scene.database.read == list(range(1, 201))
