"""The database's disk is full: one clear line, nothing half stored, and all of it later.

Root mounts a small file system in memory for this; where that cannot be, the tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import requests

import sql
from mangadex_sim import Simulator
from sql import embedded
from tests.support.databases import OwnDatabase
from tests.support.hub import Hub, rows
from tests.support.load import count
from tests.support.waiting import wait_until

SIZE = "120m"
LEFT_OVER = 128 * 1024


class SmallDisk:
    """A file system that can be filled up and emptied again."""

    def __init__(self, place: Path) -> None:
        self._filler = place / "filler"

    def fill(self) -> None:
        free = os.statvfs(self._filler.parent)
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - LEFT_OVER)

    def make_room(self) -> None:
        self._filler.unlink()


@pytest.fixture
def small_disk(home: Path) -> Iterator[SmallDisk]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(home)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield SmallDisk(home)
    embedded.stop(home)
    subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.fixture
def own_database(small_disk: SmallDisk, home: Path) -> OwnDatabase:
    return OwnDatabase(home)


@pytest.fixture
def hub(
    make_hub: Callable[..., Hub],
    simulator: Callable[..., Simulator],
    own_database: OwnDatabase,
) -> Hub:
    """An installation with 100 titles, and one reader of them all."""
    hub = make_hub(simulator(titles=700, rate=0), own_database.url)
    hub.batch("initial-sync", "--count", "100")
    hub.add_user("anna")
    with sql.connect(own_database.url) as connection:
        connection.execute(
            "INSERT INTO user_library (user_id, manga_id) SELECT u.id, m.id FROM users u, manga m"
        )
    return hub


def fails(hub: Hub, *job: str) -> str:
    """Run a job that cannot store; return the one line that says why."""
    done = hub.run_program("batch", *job, "--json", env=hub.env)
    assert done.code in (1, 75), done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if " ERROR " in line]
    assert done.json["exit_code"] == done.code
    assert done.json["status"] == "error"
    assert done.json["error"] in line
    return str(done.json["error"])


def test_jobs_store_nothing_by_halves_and_go_on_when_there_is_room(
    hub: Hub, small_disk: SmallDisk
) -> None:
    url, sim = hub.env["DATABASE_URL"], hub.sim
    tracked = [str(row[0]) for row in rows(url, "SELECT mangadex_id FROM manga")]
    title = "A chapter with a long title " * 8
    sim.publish_many(
        [{"manga": manga, "language": "en", "title": title} for manga in tracked for _ in range(40)]
    )
    small_disk.fill()
    assert "No space left on device" in fails(hub, "initial-sync", "--count", "700")
    assert "No space left on device" in fails(hub, "chapter-feed")
    chapters, events = count(url, "chapters"), count(url, "notification_events")
    assert (chapters == 0) == (events == 0)
    small_disk.make_room()
    assert hub.batch("initial-sync", "--count", "700")["status"] == "completed"
    assert hub.batch("chapter-feed")["status"] == "completed"
    assert count(url, "manga") > 600
    assert count(url, "chapters") == 40 * len(tracked)
    assert count(url, "notification_events WHERE type = 'new-chapter'") == len(tracked)


def test_a_server_whose_log_has_no_room_costs_runs_only(
    hub: Hub, small_disk: SmallDisk, own_database: OwnDatabase
) -> None:
    small_disk.fill()
    with sql.connect(own_database.url.replace("mangahub@", "postgres@")) as connection:
        with pytest.raises(psycopg.OperationalError):
            for _ in range(20):
                connection.execute("SELECT pg_switch_wal(), txid_current()")
    del hub.env["DATABASE_URL"]
    assert "No space left on device" in fails(hub, "initial-sync", "--count", "700")
    small_disk.make_room()
    assert hub.batch("initial-sync", "--count", "700")["status"] == "completed"


def test_a_post_is_refused_with_503_and_nothing_of_it_is_stored(
    hub: Hub, small_disk: SmallDisk
) -> None:
    url = hub.env["DATABASE_URL"]
    server = hub.serve()
    small_disk.fill()
    accepted = 0
    while (status := _post(hub, f"news-{accepted}")) == 202:
        accepted += 1
        assert accepted < 1_000
    assert status == 503
    assert count(url, "notifications") == count(url, "notification_receipts") == accepted
    assert [_readiness(hub) for _ in range(3)] == [503] * 3
    small_disk.make_room()
    wait_until(lambda: _readiness(hub) == 200)
    assert _post(hub, f"news-{accepted}") == 202
    assert count(url, "notifications") == count(url, "notification_receipts") == accepted + 1
    server.terminate()
    stderr = server.communicate(timeout=12)[1]
    (line,) = [line for line in stderr.splitlines() if " ERROR " in line]
    assert "No space left on device: free some space on its disk" in line


def _readiness(hub: Hub) -> int:
    return requests.get(hub.env["UDP_SERVER_URL"] + "/readyz", timeout=10).status_code


def _post(hub: Hub, event_id: str) -> int:
    body = {"manga_id": 1, "title": "A very long title " * 1_000, "event_id": event_id}
    answer = requests.post(hub.env["UDP_SERVER_URL"] + "/notify/new-manga", json=body, timeout=10)
    return answer.status_code
