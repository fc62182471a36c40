"""Fan-out, windows, retries and ACKs, with a clock of our own."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from notify_server.udp.delivery import WINDOW
from tests.notify_server.udp.scene import Scene


def test_unanswered_it_is_sent_at_0_1_3_and_7_seconds_and_the_client_dropped_at_15() -> None:
    scene = Scene()
    silent, healthy = scene.client(), scene.client()
    scene.push(1, to=silent)
    scene.push(2, to=healthy)
    scene.acknowledge(healthy, 2)
    scene.pass_time(14.9)
    for sent, wanted in zip(scene.times(silent), (0, 1, 3, 7), strict=True):
        assert wanted * 0.9 <= sent - 1000 <= wanted * 1.1
    assert list(scene.clients) == [silent, healthy]
    scene.pass_time(0.3)
    assert silent.is_gone
    assert list(scene.clients) == [healthy]
    assert scene.database.acknowledged == []
    scene.pass_time(30)
    assert len(scene.ids(silent)) == 4


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_chance_and_the_wheel_together_move_a_retry_by_less_than_a_tenth(
    mocker: MockerFixture, chance: float
) -> None:
    mocker.patch("random.uniform", lambda low, high: low + (high - low) * chance)
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
    scene.acknowledge(client, 1, 1, 99)
    scene.pass_time(20)
    scene.requests.flush_marks()
    assert scene.ids(client) == [1, 1]
    assert scene.database.acknowledged == [1]
    assert not client.is_gone


def test_the_window_holds_32_and_acks_open_it_in_order() -> None:
    scene = Scene()
    client = scene.client()
    scene.push(*range(1, 101), to=client)
    assert scene.ids(client) == list(range(1, WINDOW + 1))
    scene.acknowledge(client, 5, 6, 7)
    assert scene.ids(client)[WINDOW:] == [33, 34, 35]
    for id in range(1, 101):
        scene.acknowledge(client, id)
    assert scene.ids(client) == list(range(1, 101))
    assert scene.clients.queued == 0


def test_when_acks_come_late_events_go_out_slowly_and_when_none_comes_at_once() -> None:
    scene = Scene()
    clients = [scene.client() for _ in range(300)]
    for client in clients:
        scene.push(1, to=client)
        scene.acknowledge(client, 1)
    for client in clients:
        scene.push(2, to=client)
    scene.now += 0.6
    for client in clients:
        scene.acknowledge(client, 2)
    before = len(scene.sent)
    scene.fan_out([(3, client.user) for client in clients])
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
    assert scene.delivery.wait_ms() == 500


def test_a_dropped_client_gives_back_what_it_held() -> None:
    scene = Scene()
    client = scene.client()
    scene.push(*range(1, 101), to=client)
    scene.clients.remove(client)
    assert scene.clients.queued == 0
    scene.pass_time(20)
    assert len(scene.sent) == WINDOW
    assert scene.delivery.is_idle


def test_what_could_not_be_sent_to_a_client_without_ack_stays_unread() -> None:
    scene = Scene()
    client = scene.client(ack=False)
    scene.outgoing.is_refusing = True
    scene.push(1, to=client)
    scene.outgoing.is_refusing = False
    scene.push(2, to=client)
    scene.requests.flush_marks()
    assert scene.database.read == [2]
    assert scene.stats.send_errors == 1


def test_recipients_without_a_client_here_are_passed_over_in_large_steps() -> None:
    scene = Scene()
    client = scene.client()
    strangers = [(id, id.to_bytes(16, "big")) for id in range(1, 5001)]
    scene.fan_out([*strangers, (5001, client.user)])
    assert scene.delivery.pending == 5001
    steps = 0
    while scene.delivery.pending:
        scene.delivery.send_some(scene.now, 64)
        steps += 1
    assert (scene.ids(client), steps) == ([5001], 3)
