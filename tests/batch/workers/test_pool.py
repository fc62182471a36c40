"""Worker processes: what they do, how they die, how they are stopped."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from batch.errors import BatchError, RequestRefused, Stopped
from batch.stop import SignalStop, listening
from batch.workers import child
from batch.workers import pool as pool_module
from batch.workers.pool import LocalPool, WorkerDied
from tests.support.waiting import wait_until


@contextmanager
def running(
    workers: int, on_death: Callable[[str], None] = lambda name: None
) -> Iterator[tuple[LocalPool, SignalStop]]:
    with listening() as stop:
        pool = LocalPool(workers, stop, on_death)
        try:
            yield pool, stop
        finally:
            pool.drain(5)
            pool.shutdown()


def double(number: int) -> int:
    return 2 * number


def own_pid() -> int:
    return os.getpid()


def own_pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def refuse() -> None:
    raise RequestRefused("GET /manga is wrong", 400)


def fail() -> None:
    raise ZeroDivisionError("a fault of ours")


def die_once(marker: Path) -> str:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return "done"
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def say(text: str) -> None:
    logging.getLogger("batch.test").warning("A worker says text=%s", text)


def wait_for_stop() -> None:
    assert child.current_stop is not None
    child.current_stop.wait(30)


def work_until_told(folder: Path) -> str:
    """Ignore all, as a request under way does; end when the file appears."""
    (folder / "begun").touch()
    deadline = time.monotonic() + 10
    while not (folder / "go on").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    return "finished"


def all_results(pool: LocalPool, futures: list[object]) -> None:
    pending = set(futures)
    deadline = time.monotonic() + 20
    while pending:
        assert time.monotonic() < deadline
        pending -= pool.wait(pending, 5)  # type: ignore[arg-type]


def test_every_call_is_done_once() -> None:
    with running(3) as (pool, _):
        futures = [pool.submit(double, number) for number in range(50)]
        all_results(pool, list(futures))
        assert [future.result() for future in futures] == [2 * number for number in range(50)]


def test_tasks_that_take_a_while_are_shared_among_all_workers() -> None:
    with running(3) as (pool, _):
        futures = [pool.submit(own_pid_after, 0.3) for _ in range(9)]
        all_results(pool, list(futures))
        assert {future.result() for future in futures} == set(pool.pids)
        assert len(pool.pids) == 3


def test_no_worker_is_started_before_the_last_ones_start_is_a_while_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "START_EVERY_S", 60.0)
    with running(3) as (pool, _):
        futures = [pool.submit(own_pid) for _ in range(5)]
        all_results(pool, list(futures))
        assert {future.result() for future in futures} == set(pool.pids)
        assert len(pool.pids) == 1


def test_the_queue_holds_at_most_twice_as_many_tasks_as_there_are_workers() -> None:
    with running(2) as (pool, _):
        longest = 0
        for number in range(30):
            pool.submit(double, number)
            longest = max(longest, len(pool._queue))
        assert longest <= 4


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [(refuse, RequestRefused, "GET /manga is wrong"), (fail, BatchError, "ZeroDivisionError: a")],
    ids=["an error of ours", "an unexpected error"],
)
def test_an_error_comes_back_to_whoever_asked(
    call: Callable[[], None], error: type[Exception], text: str
) -> None:
    with running(1) as (pool, _):
        future = pool.submit(call)
        all_results(pool, [future])
        with pytest.raises(error, match=text):
            future.result()


def test_an_errors_attributes_survive_the_way_back() -> None:
    with running(1) as (pool, _):
        future = pool.submit(refuse)
        all_results(pool, [future])
        error = future.exception()
        assert isinstance(error, RequestRefused)
        assert error.status == 400


def test_a_worker_that_is_killed_is_named_and_its_task_done_again_by_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead: list[str] = []
    with running(2, dead.append) as (pool, _):
        futures = [pool.submit(die_once, tmp_path / "marker") for _ in range(6)]
        all_results(pool, list(futures))
        assert [future.result() for future in futures] == ["done"] * 6
    assert len(dead) == 1
    assert f"A worker died name={dead[0]} exit_code=-9" in caplog.text


def test_an_idle_worker_that_is_killed_is_replaced_too() -> None:
    with running(1) as (pool, _):
        first = pool.submit(own_pid)
        all_results(pool, [first])
        os.kill(first.result(), signal.SIGKILL)
        second = pool.submit(own_pid)
        all_results(pool, [second])
        assert second.result() != first.result()


def test_a_task_that_kills_every_worker_is_given_up_and_the_others_are_done() -> None:
    with running(2) as (pool, _):
        deadly, harmless = pool.submit(die), pool.submit(double, 4)
        all_results(pool, [deadly, harmless])
        assert harmless.result() == 8
        with pytest.raises(WorkerDied, match=r"worker-\d+ died, as 2 before it"):
            deadly.result()


def test_what_a_worker_logs_is_handled_by_the_parent(caplog: pytest.LogCaptureFixture) -> None:
    with running(1) as (pool, _):
        all_results(pool, [pool.submit(say, "hello")])
    assert "A worker says text=hello" in caplog.text


def test_a_signal_ends_waiting_for_results_and_drops_what_is_queued() -> None:
    with running(1) as (pool, stop):
        waiting: Future[Any] = pool.submit(wait_for_stop)
        queued: Future[Any] = pool.submit(double, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert pool.wait([waiting, queued], 10) == set()
        with pytest.raises(Stopped):
            stop.check()
        began = time.monotonic()
        pool.drain(10)
        assert time.monotonic() - began < 8
        assert queued.cancelled()
        assert isinstance(waiting.exception(), Stopped)


def test_a_task_in_flight_is_finished_when_the_run_is_stopped(tmp_path: Path) -> None:
    with running(1) as (pool, _):
        busy = pool.submit(work_until_told, tmp_path)
        wait_until((tmp_path / "begun").exists)
        os.kill(os.getpid(), signal.SIGINT)
        (tmp_path / "go on").touch()
        pool.drain(5)
        assert busy.result() == "finished"


def test_a_task_that_does_not_end_is_killed_after_the_time_to_drain(tmp_path: Path) -> None:
    with running(1) as (pool, _):
        busy = pool.submit(work_until_told, tmp_path)
        wait_until((tmp_path / "begun").exists)
        began = time.monotonic()
        pool.drain(0.1)
        pool.shutdown()
        assert time.monotonic() - began < 8
        assert not busy.done()


def test_stopping_twice_and_idle_is_fine() -> None:
    with running(2) as (pool, _):
        pool.drain(1)
        pool.drain(1)
        pool.shutdown()
        pool.shutdown()
        assert pool.pids == []


@pytest.mark.parametrize("death", [False, True], ids=["at the end", "a worker that died"])
def test_a_second_signal_meets_no_worker_that_is_closed_already(
    death: bool, mocker: MockerFixture
) -> None:
    with running(2) as (pool, stop):
        all_results(pool, [pool.submit(own_pid_after, 0.2) for _ in range(2)])
        asked: list[int] = []
        close = BaseProcess.close

        def close_and_ask(process: BaseProcess) -> None:
            close(process)
            stop.at_once()  # as a signal that comes just now
            asked.append(len(pool.pids))

        mocker.patch.object(BaseProcess, "close", close_and_ask)
        if death:
            os.kill(pool.pids[0], signal.SIGKILL)
            all_results(pool, [pool.submit(own_pid)])
        else:
            pool.shutdown()
        assert asked


def test_a_worker_does_not_outlive_its_parent(tmp_path: Path) -> None:
    parent = os.fork()
    if parent == 0:
        _parent_of_a_worker(tmp_path)
    os.waitpid(parent, 0)
    worker = int((tmp_path / "pid").read_text())
    wait_until(lambda: not _is_alive(worker))


def _parent_of_a_worker(folder: Path) -> None:
    with listening() as stop:
        pool = LocalPool(1, stop)
        future = pool.submit(own_pid)
        pool.wait([future], 5)
        (folder / "pid").write_text(str(future.result()))
        os.kill(os.getpid(), signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
