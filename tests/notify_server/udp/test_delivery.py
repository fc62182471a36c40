"""Windows and timers with a clock of our own; sockets and rows are recorded, not mocked away."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

import pytest

from notify_server.store.snapshot import Snapshot
from notify_server.udp.clients import Client, Clients, Replay
from notify_server.udp.delivery import WINDOW, Delivery, Fanout
from notify_server.udp.sendmmsg import CAPACITY, cooked_address
from notify_server.udp.stats import Stats
from notify_server.wire.auth import Address
from notify_server.wire.datagram import make_template

TEMPLATE = make_template("NEW_MANGA", 1, "T", "m", "", {}, [])


class Rows:
    """Records what would go to the database."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.read: list[int] = []
        self.pages: list[tuple[Client, list[int]]] = []

    def mark(self, acknowledged: list[int], read: list[int]) -> None:
        self.acknowledged += acknowledged
        self.read += read

    def request_page(self, client: Client, ids: list[int]) -> None:
        self.pages.append((client, ids))


class Scene:
    """A delivery with clients, and everything that it sends."""

    refusing = False

    def __init__(self) -> None:
        self.sent: list[tuple[float, Address, int]] = []
        self.collected: list[tuple[float, Address, int]] = []
        self.now = 1000.0
        self.rows = Rows()
        self.clients = Clients()
        self.stats = Stats()
        self.delivery = Delivery(self.clients, self.rows, self, self.stats)
        self.asked: list[Client] = []
        self.delivery.request_unread = self._ask

    def __len__(self) -> int:
        return len(self.collected)

    def add(self, datagram: bytes, name: bytes) -> None:
        assert len(self.collected) < CAPACITY
        self.collected.append((self.now, cooked_address(name), json.loads(datagram)["id"]))

    def flush(self) -> list[int]:
        count = len(self.collected)
        self.sent += [] if self.refusing else self.collected
        self.collected.clear()
        return list(range(count)) if self.refusing else []

    def _ask(self, client: Client) -> None:
        client.replay = Replay()
        self.asked.append(client)

    def client(self, ack: bool = True, user: bytes | None = None) -> Client:
        address = ("127.0.0.1", 1000 + len(self.clients))
        client = Client(address, user or os.urandom(16), True, ack, self.now)
        self.clients.add_candidate(client)
        self.clients.admit(client)
        return client

    def push(self, *ids: int, to: Client, xid: int = 100) -> None:
        rows = b"".join(struct.pack(">q16s", id, to.user) for id in ids)
        self.delivery.fan_out(Fanout(TEMPLATE, rows, xid))
        self.turn()

    def turn(self) -> None:
        while self.delivery.has_work(self.now):
            self.delivery.send_some(self.now, 64)

    def pass_time(self, seconds: float, step: float = 0.01) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.delivery.run_timers(self.now)
            self.turn()

    def ids(self, client: Client) -> list[int]:
        return [id for _, address, id in self.sent if address == client.address]


def test_unanswered_it_is_sent_at_0_1_3_and_7_seconds_and_the_client_dropped_at_15() -> None:
    scene = Scene()
    silent, healthy = scene.client(), scene.client()
    scene.push(1, to=silent)
    scene.push(2, to=healthy)
    scene.delivery.acknowledge(healthy, [2], scene.now)
    scene.pass_time(14.9)
    times = [t - 1000 for t, address, _ in scene.sent if address == silent.address]
    assert len(times) == 4
    for sent, wanted in zip(times, (0, 1, 3, 7), strict=True):
        assert wanted * 0.9 <= sent <= wanted * 1.1
    assert list(scene.clients) == [silent, healthy]
    scene.pass_time(0.3)
    assert silent.is_gone
    assert list(scene.clients) == [healthy]
    assert scene.rows.acknowledged == []
    scene.pass_time(30)
    assert len(scene.ids(silent)) == 4


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_chance_and_the_wheel_together_move_a_retry_by_less_than_a_tenth(
    monkeypatch: pytest.MonkeyPatch, chance: float
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: low + (high - low) * chance)
    for start in range(50):
        scene = Scene()
        scene.now += start / 1000
        began = scene.now
        scene.push(1, to=scene.client())
        scene.pass_time(8, step=0.02)
        for (sent, _, _), wanted in zip(scene.sent, (0, 1, 3, 7), strict=True):
            assert wanted * 0.91 <= sent - began <= wanted * 1.095


def test_an_ack_between_two_tries_ends_them() -> None:
    scene = Scene()
    client = scene.client()
    scene.push(1, to=client)
    scene.pass_time(1.2)
    scene.delivery.acknowledge(client, [1, 1, 99], scene.now)
    scene.pass_time(20)
    scene.delivery.flush_marks()
    assert scene.ids(client) == [1, 1]
    assert scene.rows.acknowledged == [1]
    assert not client.is_gone


def test_the_window_holds_32_and_acks_open_it_in_order() -> None:
    scene = Scene()
    client = scene.client()
    scene.push(*range(1, 101), to=client)
    assert scene.ids(client) == list(range(1, WINDOW + 1))
    scene.delivery.acknowledge(client, [5, 6, 7], scene.now)
    assert scene.ids(client)[WINDOW:] == [33, 34, 35]
    for id in range(1, 101):
        scene.delivery.acknowledge(client, [id], scene.now)
    assert scene.ids(client) == list(range(1, 101))
    assert scene.delivery.queued == 0


def test_what_the_replay_saw_is_not_sent_live_and_the_rest_comes_after_it() -> None:
    scene = Scene()
    client = scene.client()
    client.replay = Replay()
    scene.push(10, to=client, xid=50)  # seen by the query
    scene.push(11, to=client, xid=60)  # still running when the query looked
    scene.push(9, to=client, xid=70)  # later, although its id is lower
    assert scene.sent == []
    scene.delivery.begin_replay(client, [1, 10], Snapshot(60, 65, frozenset({60})), scene.now)
    ((_, ids),) = scene.rows.pages
    scene.delivery.take_page(client, [(id, TEMPLATE) for id in ids], scene.now)
    assert scene.ids(client) == [1, 10, 11, 9]
    scene.push(10, to=client, xid=50)  # a late wake-up for what the query saw
    assert scene.ids(client) == [1, 10, 11, 9]


def test_a_second_replay_leaves_out_what_is_in_flight_or_was_settled_meanwhile() -> None:
    scene = Scene()
    client = scene.client()
    scene.push(1, 2, 3, to=client)
    client.replay = Replay()
    scene.delivery.acknowledge(client, [1], scene.now)
    scene.delivery.begin_replay(client, [1, 2, 3, 4], Snapshot(200, 200, frozenset()), scene.now)
    assert scene.rows.pages == [(client, [4])]


def test_a_page_that_could_not_be_loaded_is_asked_for_again() -> None:
    scene = Scene()
    client = scene.client()
    scene.delivery.begin_replay(client, [1, 2], Snapshot(1, 1, frozenset()), scene.now)
    scene.delivery.retry_page(client, scene.rows.pages[0][1])
    scene.delivery.pump(client, scene.now)
    assert scene.rows.pages == [(client, [1, 2])] * 2


def test_a_client_that_is_too_far_behind_is_skipped_and_asks_the_database(
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr("notify_server.udp.delivery._MAX_QUEUE", 5)
    scene = Scene()
    client = scene.client()
    scene.push(*range(1, 101), to=client)
    assert client.is_behind
    assert scene.delivery.queued == 5
    for id in range(1, 38):
        scene.delivery.acknowledge(client, [id], scene.now)
    assert scene.asked == [client]
    assert scene.rows.acknowledged == [1, 2, 3, 4, 5]  # all that was so when it asked


def test_without_ack_a_replay_comes_in_portions_and_is_marked_as_read() -> None:
    scene = Scene()
    client = scene.client(ack=False)
    scene.delivery.begin_replay(client, list(range(1, 201)), Snapshot(1, 1, frozenset()), 1000.0)
    for _ in range(50):
        for _, ids in scene.rows.pages:
            scene.delivery.take_page(client, [(id, TEMPLATE) for id in ids], scene.now)
        scene.rows.pages.clear()
        before = len(scene.sent)
        scene.pass_time(0.01)
        assert len(scene.sent) - before <= 64
    scene.delivery.flush_marks()
    assert scene.ids(client) == list(range(1, 201))
    assert scene.rows.read == list(range(1, 201))


def test_when_acks_come_late_events_go_out_slowly_and_when_none_comes_at_once() -> None:
    scene = Scene()
    clients = [scene.client() for _ in range(300)]
    for client in clients:
        scene.push(1, to=client)
        scene.delivery.acknowledge(client, [1], scene.now)
    for client in clients:
        scene.push(2, to=client)
    scene.now += 0.6
    for client in clients:
        scene.delivery.acknowledge(client, [2], scene.now)
    before = len(scene.sent)
    rows = b"".join(struct.pack(">q16s", 3, client.user) for client in clients)
    scene.delivery.fan_out(Fanout(TEMPLATE, rows, 100))
    sent = []
    for _ in range(4):
        scene.turn()
        sent.append(len(scene.sent) - before)
        scene.now += 0.011
    assert sent == [64, 64, 128, 128]
    assert scene.delivery.pending == 300 - 128
    scene.now += 0.2
    scene.turn()
    assert len(scene.sent) == before + 300
    assert (scene.delivery.pending, scene.stats.retransmitted) == (0, 0)


def test_after_a_standstill_retries_and_the_end_come_all_the_same() -> None:
    scene = Scene()
    silent = scene.client()
    scene.push(1, to=silent)
    scene.pass_time(0.5)
    scene.now += 4
    scene.pass_time(14)
    assert len(scene.ids(silent)) == 4
    assert silent.is_gone
    assert not scene.delivery.is_timing


def test_a_dropped_client_gives_back_what_it_held() -> None:
    scene = Scene()
    client = scene.client()
    scene.push(*range(1, 101), to=client)
    scene.delivery.drop(client)
    assert scene.delivery.queued == 0
    scene.pass_time(20)
    assert len(scene.sent) == WINDOW
    assert scene.delivery.is_idle


def test_what_could_not_be_sent_to_a_client_without_ack_stays_unread() -> None:
    scene = Scene()
    client = scene.client(ack=False)
    scene.refusing = True
    scene.push(1, to=client)
    scene.refusing = False
    scene.push(2, to=client)
    scene.delivery.flush_marks()
    assert scene.rows.read == [2]
    assert scene.stats.send_errors == 1
