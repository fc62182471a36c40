"""Has the workers do one task after the other, and tolerates a few that the source fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from batch.errors import Banned, SourceDown
from batch.jobs.context import JobContext, Workers
from batch.workers.worker import WorkerSettings

MAX_FAILED = 3  # tasks; then it is not one of them that is in trouble

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Report = TypeVar("Report")


def run_tasks(
    context: JobContext,
    workers: Workers,
    function: Callable[[WorkerSettings, Item], Report],
    items: Iterable[Item],
) -> Iterator[Report]:
    """Calls `function(settings, item)` in the workers; yields what they report, as it comes.

    Raises:
        SourceDown: at once where the source is down, at the end where it failed a few tasks.
        Stopped, BatchError, SqlError.
    """
    waiting = iter(items)
    pending: set[Future[Report]] = set()
    failures: list[str] = []
    while True:
        while len(pending) < 2 * workers.pool.size:
            if (item := next(waiting, None)) is None:
                workers.pool.expect_no_more()
                break
            pending.add(workers.pool.submit(function, workers.settings, item))
        context.stop.check()
        if not pending:
            break
        for future in workers.pool.wait(pending):
            pending.remove(future)
            try:
                report = future.result()
            except SourceDown as exc:
                _note_failure(failures, exc)
            else:
                yield report
    if failures:
        raise SourceDown(f"tasks that the source failed: {len(failures)}, the last: {failures[-1]}")


def _note_failure(failures: list[str], exc: SourceDown) -> None:
    failures.append(str(exc))
    log.error("The source failed a task; the next run repeats it: %s", failures[-1])
    if len(failures) >= MAX_FAILED or isinstance(exc, Banned):
        raise exc
