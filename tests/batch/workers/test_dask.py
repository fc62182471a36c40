"""Runs on a real Dask cluster: a scheduler and workers as processes of their own on loopback."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

import sql
from batch import config
from mangadex_sim import Simulator
from mangadex_sim.server.request_counts import most_within
from mangahub import __version__
from mangahub.env import Env, SettingError
from tests.support.calm import A_SECOND_S
from tests.support.databases import limited_role
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None,
    reason="Dask is not installed: pip install '.[dask]'",
)

Batch = Callable[..., Any]
Simulators = Callable[..., Simulator]
Environment = Callable[..., dict[str, str]]
StartProgram = Callable[..., subprocess.Popen[str]]


class Cluster:
    """A scheduler on a free port of loopback, and as many workers as a test wants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        listing = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(listing))
        wait_until(lambda: listing.exists() and listing.stat().st_size > 0)
        self._address = str(json.loads(listing.read_text())["address"])

    @property
    def executor(self) -> str:
        return self._address.replace("tcp://", "dask://")

    def add_worker(self, threads: int = 1, folder: Path = ROOT) -> subprocess.Popen[bytes]:
        """Start a worker, which finds our packages in `folder`; see `await_workers`."""
        options = ("--no-nanny", "--nthreads", str(threads), "--local-directory")
        return self._start("worker", self._address, *options, str(self._folder), folder=folder)

    def await_workers(self) -> None:
        for log in self._folder.glob("worker-*.log"):
            wait_until(lambda log=log: "Registered to" in log.read_text())  # type: ignore[misc]

    def logs(self) -> str:
        return "\n".join(log.read_text() for log in self._folder.glob("*.log"))

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10)

    def _start(self, role: str, *arguments: str, folder: Path = ROOT) -> subprocess.Popen[bytes]:
        module = f"distributed.cli.dask_{role}"
        command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--no-dashboard"]
        with (self._folder / f"{role}-{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *arguments], cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )
        self._processes.append(process)
        return process


def count(connection: sql.Connection, table: str = "manga") -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def workers_connections(connection: sql.Connection) -> list[Any]:
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'mangahub-batch worker'"
    return connection.execute(f"{query} AND datname = current_database()").fetchall()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, one of them with two threads."""
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        running.add_worker()
        running.add_worker(threads=2)
        running.await_workers()
        yield running
    finally:
        running.close()


@pytest.mark.calm
@needs_dask
def test_a_run_on_a_cluster_stores_what_a_local_one_does_and_keeps_to_its_rate(
    simulator: Simulators, batch: Batch, connection: sql.Connection, cluster: Cluster
) -> None:
    sim = simulator(titles=5000, rate=0, latency_s=0.2)
    env = {"EXECUTOR": cluster.executor, "RATE_PER_SECOND": "5"}
    done = batch(sim, "initial-sync", "--count", "2500", "--json", **env)
    assert done.code == 0, done.stderr
    assert f"Workers run on a cluster executor={cluster.executor} threads=3" in done.stderr
    assert done.json["manga_new"] == 2500
    assert 25 <= done.json["requests"] <= 27  # Dask may have a task done again
    assert count(connection) == 2500
    stats = sim.stats()
    assert set(stats["by_status"]) == {"200"}
    arrivals = stats["arrivals"]
    assert most_within(arrivals, A_SECOND_S) <= 5
    assert arrivals[-1] - arrivals[0] < 2 * len(arrivals) / 5, "the budget is there to be used"


@needs_dask
def test_what_workers_log_is_in_the_programs_log_and_they_keep_nothing_of_a_run(
    simulator: Simulators, batch: Batch, connection: sql.Connection, cluster: Cluster
) -> None:
    sim = simulator(titles=300, rate=0)
    for mangadex_id in sim.title_ids(count=250):
        connection.execute(
            "INSERT INTO manga (slug, title, mangadex_id) VALUES (%s, %s, %s)",
            [mangadex_id, "Not synced yet", mangadex_id],
        )
    sim.fail("title_number_where_text", count=1)
    done = batch(sim, "metadata-refresh", "--json", EXECUTOR=cluster.executor)
    assert done.code == 0, done.stderr
    assert (done.json["manga_updated"], done.json["failed"]) == (249, 1)
    assert "WARNING batch.store.rejections: Rejected" in done.stderr
    wait_until(lambda: not workers_connections(connection))
    assert "postgresql://" not in cluster.logs()


@needs_dask
@pytest.mark.parametrize(
    ("connections", "code", "said"),
    [
        pytest.param(5, 0, "no connection for more workers workers=1", id="the smaller one"),
        pytest.param(2, 75, "1 free connections, a worker wants 3", id="none"),
    ],
)
def test_a_run_takes_the_workers_for_which_there_are_connections(
    simulator: Simulators, run_batch: Batch, environment: Environment, cluster: Cluster,
    connection: sql.Connection, database_url: str, connections: int, code: int, said: str,
) -> None:  # fmt: skip
    sim = simulator(titles=300, rate=0)
    with limited_role(connection, database_url, connections) as url:
        env = environment(sim, EXECUTOR=cluster.executor) | {"DATABASE_URL": url}
        done = run_batch("initial-sync", "--count", "300", env=env)
        wait_until(lambda: not workers_connections(connection))
    assert (done.code, done.stderr.count(said)) == (code, 1), done.stderr
    assert (count(connection) > 200) == (code == 0)


@needs_dask
def test_a_worker_that_is_killed_costs_nothing(
    simulator: Simulators,
    environment: Environment,
    start_program: StartProgram,
    connection: sql.Connection,
    cluster: Cluster,
) -> None:
    victim = cluster.add_worker(threads=2)
    cluster.await_workers()
    sim = simulator(titles=3000, rate=0, latency_s=0.1)
    env = environment(sim, EXECUTOR=cluster.executor, RATE_PER_SECOND="20", RATE_CONCURRENCY="3")
    process = start_program("batch", "initial-sync", "--count", "2000", "--json", env=env)
    wait_until(lambda: count(connection, "sync_pages") >= 4)
    victim.kill()
    victim.wait(10)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["manga_seen"] == 2000
    assert count(connection) == 2000
    assert sim.stats()["total"] <= 20 + 2


@needs_dask
def test_term_ends_it_between_two_pages(
    simulator: Simulators,
    environment: Environment,
    start_program: StartProgram,
    connection: sql.Connection,
    cluster: Cluster,
) -> None:
    sim = simulator(titles=2000, rate=0, latency_s=0.2)
    env = environment(sim, EXECUTOR=cluster.executor, RATE_PER_SECOND="10")
    process = start_program("batch", "initial-sync", "--count", "1500", "--json", env=env)
    wait_until(lambda: count(connection, "sync_pages") >= 2)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, stderr = process.communicate(timeout=15)
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + signal.SIGTERM, stderr
    assert "Traceback" not in stderr
    assert "stopped by signal 15" in stderr.splitlines()[-1]
    # What was in flight has been finished: every request that was made is a stored page.
    assert count(connection, "sync_pages") == sim.stats()["total"]


@needs_dask
def test_a_program_that_is_killed_stops_its_workers_too(
    simulator: Simulators,
    environment: Environment,
    start_program: StartProgram,
    connection: sql.Connection,
    cluster: Cluster,
) -> None:
    sim = simulator(titles=2000, rate=0)
    env = environment(sim, EXECUTOR=cluster.executor, RATE_PER_SECOND="10")
    process = start_program("batch", "initial-sync", "--count", "1500", env=env)
    wait_until(lambda: count(connection, "sync_pages") >= 2)
    process.kill()
    process.wait(10)
    wait_until(lambda: not workers_connections(connection), 10)
    assert sim.stats()["total"] < 15


@needs_dask
def test_a_cluster_that_cannot_do_the_work_has_its_own_error(
    simulator: Simulators, batch: Batch, tmp_path: Path
) -> None:
    sim = simulator(titles=50)
    poor = Cluster(tmp_path)
    try:
        without_workers = batch(sim, "initial-sync", "--json", EXECUTOR=poor.executor)
        (tmp_path / "mangahub").mkdir()
        (tmp_path / "mangahub" / "__init__.py").write_text('__version__ = "0.0.1"')
        poor.add_worker(folder=tmp_path)
        poor.await_workers()
        of_another_version = batch(sim, "initial-sync", "--json", EXECUTOR=poor.executor)
    finally:
        poor.close()
    assert without_workers.code == 75
    assert without_workers.json["error"] == f"the cluster {poor.executor} has no workers"
    assert of_another_version.code == 1
    needed = f"needs mangahub-sync {__version__}, it has 0.0.1"
    assert needed in of_another_version.json["error"]
    assert sim.stats()["total"] == 0


@needs_dask
def test_a_scheduler_that_is_not_there_is_left_for_later(
    simulator: Simulators, batch: Batch
) -> None:
    done = batch(simulator(titles=50), "initial-sync", "--json", EXECUTOR="dask://127.0.0.1:9")
    assert done.code == 75
    assert "the scheduler dask://127.0.0.1:9 cannot be reached" in done.json["error"]
    assert len(done.stderr.splitlines()) == 1


@needs_dask
def test_a_scheduler_that_dies_ends_the_run_for_now(
    simulator: Simulators,
    environment: Environment,
    start_program: StartProgram,
    connection: sql.Connection,
    tmp_path: Path,
) -> None:
    mortal = Cluster(tmp_path)
    try:
        mortal.add_worker()
        mortal.await_workers()
        env = environment(
            simulator(titles=2000, rate=0), EXECUTOR=mortal.executor, RATE_PER_SECOND="10"
        )
        process = start_program("batch", "initial-sync", "--count", "1500", env=env)
        wait_until(lambda: count(connection, "sync_pages") >= 1)
        mortal.scheduler.kill()
        began = time.monotonic()
        _, stderr = process.communicate(timeout=30)
    finally:
        mortal.close()
    assert process.returncode == 75, stderr
    assert time.monotonic() - began < 25
    assert f"the scheduler {mortal.executor}" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    "value",
    [
        "dask://",
        "dask://host",
        "dask://h:0",
        "dask://h:1/x",
        "tcp://h:1",
        "dask://u@h:1",
        "dask://a..b:1",
        "dask://*:1",
    ],
)
def test_another_executor_is_refused(value: str) -> None:
    with pytest.raises(SettingError, match="must be local or dask://host:port"):
        config.load(Env({"MANGA_SYNC_EXECUTOR": value}))


def test_without_dask_the_way_to_install_it_is_named(mocker: MockerFixture) -> None:
    mocker.patch.object(config, "find_spec", return_value=None)
    with pytest.raises(SettingError, match=r"pip install '\.\[dask\]' in the checkout"):
        config.load(Env({"MANGA_SYNC_EXECUTOR": "dask://host:8786"}))


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("postgresql://mangahub@/mangahub?host=/run/postgresql", True),
        ("postgresql:///mangahub", True),
        ("postgresql://localhost/mangahub", True),
        ("postgresql://127.0.0.1:5432/mangahub", True),
        ("postgresql://database.example/mangahub", False),
        ("postgresql:///mangahub?host=/run/postgresql,database.example", False),
        ("postgresql:///mangahub?hostaddr=192.0.2.7", False),
    ],
)
def test_a_database_of_this_host_alone_is_known(url: str, is_local: bool) -> None:
    assert sql.is_local(url) == is_local
