"""One budget of calls for all processes of a host."""

from __future__ import annotations

import multiprocessing
import os
import struct
import time
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from batch.errors import BatchError, SourceDown, Stopped
from batch.limits import host_budget
from batch.limits.host_budget import EVENNESS, SPACING, HostBudget, Pace, Spent

URL = "http://127.0.0.1:1"


class Patient:
    """A stop that never comes."""

    def check(self) -> None:
        return None

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class Counting(Patient):
    """Counts the waits."""

    waits = 0

    def wait(self, seconds: float) -> None:
        self.waits += 1
        super().wait(seconds)


class Impatient(Patient):
    """A stop that has come already."""

    def wait(self, seconds: float) -> None:
        raise Stopped(15)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _state(folder: Path) -> Path:
    (path,) = folder.glob("mangahub-budget-*")
    return path


def _take_slots(folder: Path, number: int, results: Connection) -> None:
    budget = HostBudget(URL, 50, directory=folder)
    moments = []
    for _ in range(number):
        with budget.slot(Patient()):
            moments.append(time.monotonic())
    results.send(moments)
    results.close()


def test_slots_of_several_processes_keep_their_distance(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    ends = []
    processes = []
    for _ in range(3):
        ours, theirs = context.Pipe()
        process = context.Process(target=_take_slots, args=(folder, 10, theirs))
        process.start()
        theirs.close()
        ends.append(ours)
        processes.append(process)
    moments = sorted(moment for end in ends for moment in end.recv())
    for process, end in zip(processes, ends, strict=True):
        process.join(10)
        end.close()
        process.close()
    assert len(moments) == 30
    assert min(later - earlier for earlier, later in pairwise(moments)) >= EVENNESS / 50
    # The window is of 16 calls where more than 16 a second are allowed.
    spans = [later - earlier for earlier, later in zip(moments, moments[16:], strict=False)]
    assert min(spans) >= SPACING * 16 / 50


def test_of_five_a_second_the_sixth_leaves_more_than_a_second_after_the_first() -> None:
    pace, spent, moments = Pace(5, 1), Spent(), []
    for _ in range(12):
        moments.append(max(pace.due(spent), 100.0))
        spent = pace.after_a_call(spent, moments[-1])
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert gaps == pytest.approx([0.17] * 4 + [0.335] + [0.17] * 4 + [0.335] + [0.17])
    assert moments[5] - moments[0] == pytest.approx(1.015)


def test_the_next_slot_is_counted_from_the_end_of_the_one_before(folder: Path) -> None:
    budget = HostBudget(URL, 20, directory=folder)
    with budget.slot(Patient()):
        time.sleep(0.1)  # a process that is slow to send
        sent = time.monotonic()
    with budget.slot(Patient()):
        assert time.monotonic() - sent >= EVENNESS / 20
    budget.close()


def test_a_call_that_fails_has_spent_its_slot_all_the_same(folder: Path) -> None:
    budget = HostBudget(URL, 20, directory=folder)
    with pytest.raises(OSError, match="cut"), budget.slot(Patient()):
        failed = time.monotonic()
        raise OSError("cut")
    with budget.slot(Patient()):
        assert time.monotonic() - failed >= EVENNESS / 20
    budget.close()


def test_a_burst_goes_at_once_and_the_bucket_fills_again(folder: Path) -> None:
    budget = HostBudget(URL, 20, burst=5, directory=folder)
    began, stop = time.monotonic(), Counting()
    for _ in range(5):
        with budget.slot(stop):
            pass
    assert stop.waits == 0
    with budget.slot(stop):
        assert time.monotonic() - began >= 0.04
    budget.close()


def test_a_pause_holds_for_everyone_and_a_shorter_one_does_not_cut_it(folder: Path) -> None:
    budget, other = HostBudget(URL, 100, directory=folder), HostBudget(URL, 100, directory=folder)
    began = time.monotonic()
    budget.pause(0.2, Patient())
    budget.pause(0.01, Patient())
    other.sit_out_pause(Patient())
    with other.slot(Patient()):
        assert time.monotonic() - began >= 0.2
    budget.close()
    other.close()


def test_a_pause_that_is_too_long_for_a_run_ends_it_at_once(folder: Path) -> None:
    budget = HostBudget(URL, 100, directory=folder)
    budget.pause(1e9, Patient())
    with pytest.raises(SourceDown, match=r"pause, 3\d\d\d s of it are left"):
        budget.sit_out_pause(Patient())
    with pytest.raises(SourceDown), budget.slot(Patient()):
        pytest.fail("no slot during a pause")
    budget.close()


def test_waiting_for_a_slot_ends_with_a_stop(folder: Path) -> None:
    budget = HostBudget(URL, 0.01, directory=folder)
    with budget.slot(Patient()):
        pass
    with pytest.raises(Stopped), budget.slot(Impatient()):
        pytest.fail("no slot after a stop")
    budget.close()


def test_a_process_that_holds_the_slot_and_dies_gives_it_back(folder: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_inside, args=(folder,))
    process.start()
    process.join(10)
    died = time.monotonic()
    budget = HostBudget(URL, 2, directory=folder)
    with budget.slot(Patient()):
        assert process.exitcode == 9
        # Its call counts: the bytes may have left.
        assert time.monotonic() - died > 0.3
    budget.close()
    process.close()


def _die_inside(folder: Path) -> None:
    budget = HostBudget(URL, 2, directory=folder)
    with budget.slot(Patient()):
        os._exit(9)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * 144,
        struct.pack("<18d", *[1e300] * 18),
        struct.pack("<18d", *[-1] * 18),
    ],
    ids=["empty", "short", "not a number", "the far future", "the past"],
)
def test_a_damaged_file_counts_as_empty(folder: Path, content: bytes) -> None:
    budget = HostBudget(URL, 100, directory=folder)
    _state(folder).write_bytes(content)
    began = time.monotonic()
    with budget.slot(Patient()):
        assert time.monotonic() - began < 1
    budget.close()


def test_each_source_has_a_budget_of_its_own_however_its_address_is_written(folder: Path) -> None:
    for url in ("http://a.test", "http://A.test:80", "http://a.test/", "https://a.test"):
        HostBudget(url, 5, directory=folder).close()
    assert len(list(folder.iterdir())) == 2


def test_every_user_of_the_host_may_write_the_file_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        HostBudget(URL, 5, directory=folder).close()
    finally:
        os.umask(before)
    assert _state(folder).stat().st_mode & 0o777 == 0o666


def test_a_link_in_its_place_is_not_followed(folder: Path) -> None:
    HostBudget(URL, 5, directory=folder).close()
    path = _state(folder)
    target = folder / "precious"
    target.write_text("precious")
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(BatchError, match=r"shared request budget .* cannot be used"):
        HostBudget(URL, 5, directory=folder)
    assert target.read_text() == "precious"


def test_something_else_in_its_place_is_one_clear_line(folder: Path) -> None:
    HostBudget(URL, 5, directory=folder).close()
    path = _state(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(BatchError, match="cannot be used"):
        HostBudget(URL, 5, directory=folder)


def test_shared_memory_is_where_it_lies_by_default() -> None:
    assert host_budget._shared_directory() == Path("/dev/shm")
