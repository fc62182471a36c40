"""The gate of a run, in this process and behind its Manager."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from batch.errors import BatchError
from batch.limits import gate as gate_module
from batch.limits import gate_server
from batch.limits.gate import Gate
from batch.limits.gate_server import GateServer, ManagerAddress
from batch.mangadex.http import CONNECT_TIMEOUT_S, TIMEOUT_S
from sql.budget import EVENNESS, MAX_PATIENCE_S
from tests.support.waiting import wait_until


def test_no_more_callers_are_inside_than_allowed() -> None:
    gate = Gate(concurrency=2, per_second=1000, burst=100)
    assert gate.enter("a", 1)
    assert gate.enter("b", 1)
    assert not gate.enter("c", 0.02)
    gate.leave("a", 1)
    assert gate.enter("c", 1)


def test_turns_are_given_in_the_order_of_asking() -> None:
    gate = Gate(concurrency=1, per_second=1000, burst=100)
    assert gate.enter("first", 1)
    order: list[str] = []

    def caller(name: str) -> None:
        assert gate.enter(name, 10)
        order.append(name)
        gate.leave(name, 1)

    names = ["c", "a", "d", "b"]
    threads = []
    for name in names:
        thread = threading.Thread(target=caller, args=(name,))
        thread.start()
        threads.append(thread)
        wait_until(lambda name=name: name in gate._waiting)  # type: ignore[misc]
    gate.leave("first", 1)
    for thread in threads:
        thread.join(10)
    assert order == names


def test_who_gives_up_waiting_keeps_the_place_in_the_queue() -> None:
    gate = Gate(concurrency=1, per_second=1000, burst=100)
    assert gate.enter("holder", 1)
    assert not gate.enter("early", 0.01)
    assert not gate.enter("late", 0.01)
    gate.leave("holder", 1)
    assert not gate.enter("late", 0.01)
    assert gate.enter("early", 1)


def test_the_place_of_a_caller_that_does_not_come_back_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate_module, "ABSENCE_S", 0.0)
    gate = Gate(concurrency=1, per_second=1000, burst=100)
    assert gate.enter("holder", 1)
    assert not gate.enter("dead", 0.01)
    gate.leave("holder", 1)
    assert gate.enter("alive", 1)


def test_a_turn_whose_lease_is_over_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "LEASE_S", 0.0)
    gate = Gate(concurrency=1, per_second=1000, burst=100)
    assert gate.enter("dead", 1)
    assert gate.enter("alive", 1)


def test_what_a_dead_caller_held_is_taken_back() -> None:
    gate = Gate(concurrency=1, per_second=1000, burst=100)
    assert gate.enter("dead", 1)
    gate.forget("dead")
    assert gate.enter("alive", 1)


def test_turns_are_paced() -> None:
    started_s = time.monotonic()
    gate = Gate(concurrency=5, per_second=50, burst=1)
    for turn in range(4):
        assert gate.enter("a", 1)
        # However late a busy machine comes back, it is never too early.
        assert time.monotonic() - started_s >= turn * EVENNESS / 50
        gate.leave("a", 1)


def test_a_burst_goes_at_once() -> None:
    gate = Gate(concurrency=20, per_second=0.1, burst=10)
    assert all(gate.enter(f"caller {n}", 0.5) for n in range(10))
    assert not gate.enter("one more", 0.01)


def test_calls_are_counted() -> None:
    gate = Gate(concurrency=1, per_second=1000, burst=10)
    gate.enter("a", 1)
    gate.leave("a", 3, rate_limited=1)
    gate.enter("a", 1)
    gate.leave("a", 0)
    assert (gate.spent(), gate.rate_limited()) == (3, 1)


def test_a_served_gate_is_one_for_all_processes() -> None:
    server = GateServer(Gate(concurrency=1, per_second=1000, burst=10))
    try:
        child = multiprocessing.get_context("fork").Process(
            target=_enter_and_leave_nothing_back, args=(server.address,)
        )
        child.start()
        child.join(10)
        assert child.exitcode == -signal.SIGKILL
        assert not server.gate.enter("parent", 0.05)
        server.forget("child")
        assert server.gate.enter("parent", 5)
        server.gate.leave("parent", 2, rate_limited=1)
        assert server.gate.counts()[0] == 2
    finally:
        left = server.close()
    assert left == (2, 1)


def test_a_run_that_is_killed_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parent = os.fork()
    if parent == 0:
        _serve_and_be_killed()
    assert os.waitpid(parent, 0)[1] == signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_a_turn_in_use_is_not_taken_back() -> None:
    assert gate_module.LEASE_S > MAX_PATIENCE_S + CONNECT_TIMEOUT_S + TIMEOUT_S


def test_a_server_whose_process_is_gone_is_closed_without_a_fuss() -> None:
    server = GateServer(Gate(concurrency=1, per_second=1000, burst=10))
    pid = server._manager._process.pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGKILL)
    server.forget("anyone")
    assert server.close() == (0, 0)


@pytest.mark.parametrize("call", ["enter", "leave", "connect"])
def test_a_server_that_stands_still_is_noticed(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(gate_server, "ANSWER_S", 0.2)
    server = GateServer(Gate(concurrency=1, per_second=1000, burst=10))
    os.kill(server._manager._process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
    calls = {
        "enter": lambda: server.gate.enter("a", 0.1),
        "leave": lambda: server.gate.leave("a", 1),
        "connect": server.address.connect,
    }
    with pytest.raises(BatchError, match="does not answer"):
        calls[call]()
    assert server.close() == (0, 0)


def test_who_has_not_answered_once_is_not_waited_for_again(mocker: MockerFixture) -> None:
    mocker.patch.object(gate_server, "ANSWER_S", 0.2)
    server = GateServer(Gate(concurrency=1, per_second=1000, burst=10))
    os.kill(server._manager._process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
    server.forget("anyone")
    wait = mocker.spy(gate_server, "_answer_within")
    server.forget("anyone")
    assert server.close() == (0, 0)
    wait.assert_not_called()


def test_a_server_that_stands_still_from_its_start_leaves_no_process(mocker: MockerFixture) -> None:
    mocker.patch.object(gate_server, "ANSWER_S", 0.2)
    mocker.patch.object(gate_server, "_become_manager", _stand_still)
    with pytest.raises(BatchError, match="does not answer"):
        GateServer(Gate(concurrency=1, per_second=1000, burst=10))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("is_in_the_call", [False, True], ids=["before a call", "in a call"])
def test_the_alarm_of_a_run_that_was_told_to_end_still_comes(is_in_the_call: bool) -> None:
    came = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: came.set())
    try:
        if not is_in_the_call:
            signal.setitimer(signal.ITIMER_REAL, 0.3, 0.1)
        with gate_server._answer_within(5):
            if is_in_the_call:
                signal.setitimer(signal.ITIMER_REAL, 0.3, 0.1)
        wait_until(came.is_set)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_server_that_cannot_start_a_thread_ends(mocker: MockerFixture) -> None:
    mocker.patch("multiprocessing.managers.Server.handle_request", side_effect=RuntimeError)
    with pytest.raises(BatchError, match="has ended"):
        GateServer(Gate(concurrency=1, per_second=1000, burst=10))


def _stand_still(parent: int) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _enter_and_leave_nothing_back(address: ManagerAddress) -> None:
    address.connect().enter("child", 5)
    os.kill(os.getpid(), signal.SIGKILL)


def _serve_and_be_killed() -> None:
    try:
        server = GateServer(Gate(concurrency=1, per_second=1000, burst=10))
        if server.gate.enter("a", 5):
            os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)
