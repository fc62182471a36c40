"""What the command line hands to a job: settings, connections, and where to say what happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from batch.config import LOCAL, Config
from batch.limits.gate import Gate, GateServer
from batch.mangadex.client import MangaDex
from batch.models import Summary
from batch.reporting.progress import Progress
from batch.stop import SignalStop
from batch.workers.pool import LocalPool, Pool
from batch.workers.worker import WorkerSettings, open_api
from sql import Connection


@dataclass(slots=True)
class Run:
    """One run of one workflow.

    Attributes:
        connection: holds the workflow's lock; autocommit.
        started_at: aware, UTC.
        status_before: of the workflow's row; a run that does nothing leaves it as it was.
        full: `--all` was given.
        force: `--force` was given.
        limit: `--count` or `--limit`, None where it was not given.
    """

    config: Config
    connection: Connection
    database_url: str
    stop: SignalStop
    progress: Progress
    summary: Summary
    started_at: datetime
    status_before: str = "idle"
    full: bool = False
    force: bool = False
    limit: int | None = None
    _gate: Gate = field(init=False)
    _api: MangaDex | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._gate = new_gate(self.config)

    @property
    def api(self) -> MangaDex:
        """The client of this process, for jobs that ask one thing after the other."""
        if self._api is None:
            self._api = open_api(self.config, self._gate, "main", self.stop)
        return self._api

    @contextmanager
    def crew(self, tasks: int) -> Iterator[Crew]:
        """Workers for so many tasks, and the Manager that keeps them within one budget."""
        server = self._serve_gate()
        try:
            settings = WorkerSettings(self.config, self.database_url, server.address)
            pool = self._hire(server, max(tasks, 1))
            try:
                yield Crew(pool, settings)
            finally:
                with self.stop.uninterrupted():  # or workers would be left
                    pool.drain(self.stop.grace_left)
                    pool.shutdown()
        finally:
            with self.stop.uninterrupted():
                self._account(*server.close())

    def _serve_gate(self) -> GateServer:
        if self.config.executor == LOCAL:
            return GateServer(new_gate(self.config))
        from batch.workers.dask import executor

        return executor.serve_gate(self.config, self.database_url)

    def _hire(self, server: GateServer, tasks: int) -> Pool:
        if self.config.executor == LOCAL:
            return LocalPool(min(self.config.workers, tasks), self.stop, server.forget)
        from batch.workers.dask import executor

        return executor.ClusterPool(self.config.executor, tasks, self.stop, server.gate)

    def close(self) -> None:
        """Counts the requests of this process and closes its session."""
        self._account(self._gate.spent(), self._gate.rate_limited())
        if self._api is not None:
            self._api.close()

    def _account(self, requests: int, rate_limited: int) -> None:
        self.summary.requests += requests
        self.summary.rate_limited += rate_limited


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers, and what each task has to bring along."""

    pool: Pool
    settings: WorkerSettings


def new_gate(config: Config) -> Gate:
    return Gate(config.rate_concurrency, config.rate_per_second, config.rate_burst)
