"""What the command line hands to a job: settings, connections, and where to say what happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from batch.config import LOCAL, Config
from batch.limits.gate import Gate
from batch.limits.permit import Permits
from batch.mangadex.client import MangaDex
from batch.models import Summary
from batch.reporting.progress import Progress
from batch.stop import SignalStop
from batch.workers.local import GatedPool, new_gate
from batch.workers.pool import Pool
from batch.workers.worker import WorkerSettings, open_api, open_permits
from sql import Connection


@dataclass(slots=True)
class JobContext:
    """One run of one workflow.

    Attributes:
        connection: holds the workflow's lock; autocommit.
        started_at: aware, UTC.
        status_before: of the workflow's row; a run that does nothing leaves it as it was.
        full: `--all` was given.
        force: `--force` was given.
        permits: for what this process itself asks.
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
    permits: Permits = field(init=False)
    _api: MangaDex | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._gate = new_gate(self.config)
        self.permits = open_permits(
            self.config, self._gate, "main", self.stop, lambda: self.connection
        )

    @property
    def api(self) -> MangaDex:
        """The client of this process, for jobs that ask one thing after the other."""
        if self._api is None:
            self._api = open_api(self.config, self.permits)
        return self._api

    @contextmanager
    def workers(self, tasks: int) -> Iterator[Workers]:
        """Start workers for so many tasks; end them, and count their requests, after the block."""
        pool = self._open_pool(max(tasks, 1))
        try:
            yield Workers(pool, pool.settings)
        finally:
            with self.stop.uninterrupted():  # or workers would be left
                pool.drain(self.stop.grace_left)
                pool.shutdown()
                self._account(pool.requests, pool.rate_limited)

    def _open_pool(self, tasks: int) -> Pool:
        if self.config.executor == LOCAL:
            return GatedPool(self.config, self.database_url, tasks, self.stop)
        from batch.workers.dask.executor import ClusterPool  # an extra

        session_pid = self.connection.info.backend_pid
        return ClusterPool(self.config, self.database_url, session_pid, tasks, self.stop)

    def close(self) -> None:
        """Counts the requests of this process and closes its session."""
        self._account(self._gate.spent(), self._gate.rate_limited())
        if self._api is not None:
            self._api.close()

    def _account(self, requests: int, rate_limited: int) -> None:
        self.summary.requests += requests
        self.summary.rate_limited += rate_limited


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers, and what each task has to bring along."""

    pool: Pool
    settings: WorkerSettings
