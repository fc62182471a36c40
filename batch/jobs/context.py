"""What every job works with: settings, connections, the API client, workers and progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from batch.config import LOCAL, Config
from batch.errors import Banned, SourceDown
from batch.limits.gate import Gate
from batch.limits.permit import Permits
from batch.mangadex.client import MangaDex
from batch.models import Summary
from batch.reporting.progress import Progress
from batch.rules.chapter_models import Rules
from batch.stop import SignalStop
from batch.workers.local import GatedPool, new_gate
from batch.workers.pool import Pool
from batch.workers.worker import WorkerSettings, open_api, open_permits
from sql import Connection

MAX_FAILED = 3  # tasks of a run; further ones are not about single tasks

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Report = TypeVar("Report")


@dataclass(slots=True)
class JobContext:
    """One run of one workflow.

    Attributes:
        connection: holds the workflow's lock; autocommit.
        started_at: aware, UTC.
        status_before: of the workflow's row; a run that does nothing leaves it as it was.
        full: `--all` was given.
        force: `--force` was given.
        limit: `--count` or `--limit`, None if it was not given.
        permits: for the requests of this process itself.
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
        """The client of this process, for jobs that make one request after the other."""
        if self._api is None:
            self._api = open_api(self.config, self.permits)
        return self._api

    @contextmanager
    def workers(self, tasks: int) -> Iterator[Workers]:
        """Start workers for so many tasks; end them, and count their requests, after the block."""
        pool = self._open_pool(max(tasks, 1))
        try:
            yield Workers(pool, self.stop)
        finally:
            with self.stop.uninterrupted():  # or workers would be left
                pool.drain(self.stop.grace_left)
                pool.shutdown()
                self._account(pool.requests, pool.rate_limited)

    def _open_pool(self, tasks: int) -> Pool:
        if self.config.executor == LOCAL:
            return GatedPool(self.config, self.database_url, tasks, self.stop)
        from batch.workers.dask.executor import ClusterPool  # an extra

        return ClusterPool(self.config, self.database_url, self.connection, tasks, self.stop)

    def close(self) -> None:
        """Count the requests of this process and close its session."""
        self._account(self._gate.spent(), self._gate.rate_limited())
        if self._api is not None:
            self._api.close()

    def _account(self, requests: int, rate_limited: int) -> None:
        self.summary.requests += requests
        self.summary.rate_limited += rate_limited


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of a run; single tasks may fail for want of the source."""

    pool: Pool
    stop: SignalStop

    def do_all(
        self, function: Callable[[WorkerSettings, Item], Report], items: Iterable[Item]
    ) -> Iterator[Report]:
        """Call `function(settings, item)` for all items; yield the reports as they come.

        Raises:
            SourceDown, Stopped, BatchError, SqlError: as `do`.
        """
        next_item = partial(next, iter(items), None)
        return (report for _, report in self.do(function, next_item))

    def do(
        self,
        function: Callable[[WorkerSettings, Item], Report],
        next_item: Callable[[], Item | None],
    ) -> Iterator[tuple[Item, Report]]:
        """Call `function(settings, item)` in the workers; yield each item with its report.

        Args:
            next_item: returns None if there is none now; it is called again after each report.

        Raises:
            SourceDown: at once after MAX_FAILED tasks or for a ban; else at the end.
            Stopped, BatchError, SqlError.
        """
        pending: dict[Future[Report], Item] = {}
        failures: list[SourceDown] = []
        while True:
            while len(pending) < 3 * self.pool.size and (item := next_item()) is not None:
                pending[self.pool.submit(function, self.pool.settings, item)] = item
            self.stop.check()
            if not pending:
                break
            for future in self.pool.wait(pending):
                item = pending.pop(future)
                try:
                    report = future.result()
                except SourceDown as exc:
                    failures.append(exc)
                    _require_few(failures)
                else:
                    yield item, report
        if failures:
            raise SourceDown(f"{len(failures)} tasks failed, the last: {failures[-1]}")


def _require_few(failures: list[SourceDown]) -> None:
    log.error("A task failed at the source; the next run repeats it: %s", failures[-1])
    if len(failures) >= MAX_FAILED or isinstance(failures[-1], Banned):
        raise failures[-1]


def rules_of(config: Config) -> Rules:
    """Return the settings that decide which chapters are new."""
    return Rules(frozenset(config.languages), config.blocked_groups, config.blocked_uploaders)
