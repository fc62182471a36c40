"""Progress of a job: a bar on a terminal, otherwise a log line for each page."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

log = logging.getLogger("batch.reporting.progress")


class Progress:
    """Shows the progress of one job at a time.

    Args:
        on_terminal: draw a bar; by default if stderr is a terminal.
    """

    def __init__(self, on_terminal: bool | None = None) -> None:
        self._on_terminal = sys.stderr.isatty() if on_terminal is None else on_terminal
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._what = ""
        self._done = 0
        self._total: int | None = None

    def start(self, what: str, total: int | None) -> None:
        """Begin a phase; `what` names what is counted, `total` is None if unknown."""
        self._what, self._done, self._total = what, 0, total
        if self._on_terminal:
            self._bar = self._bar or _new_bar()
            self._task = self._bar.add_task(what, total=total)
            self._bar.refresh()

    def expect(self, total: int) -> None:
        """Set the total once it is known."""
        self._total = total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)

    def advance(self, done: int, **facts: object) -> None:
        """Count what is done; `facts` stand in the log line as key=value."""
        self._done += done
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=done, refresh=True)
            return
        pairs = "".join(f" {name}={value}" for name, value in facts.items())
        total = "?" if self._total is None else self._total
        log.info("Progress: %s done=%d of=%s%s", self._what, self._done, total, pairs)

    def close(self) -> None:
        """Remove the bar; log lines go straight to stderr again."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            _lead_log_lines_to_stderr()


def _new_bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # No refresh thread: workers are forked from this process.
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
    bar.start()
    _lead_log_lines_to_stderr()
    return bar


def _lead_log_lines_to_stderr() -> None:
    """Let log handlers print above the bar, which replaces sys.stderr."""
    for handler in logging.getLogger().handlers:
        # Handlers to a file or elsewhere are subclasses.
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stderr)
