"""What a person sees while a job runs: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.reporting.progress import Progress
from mangadex_sim import Simulator
from tests.support.paths import ROOT


def test_away_from_a_terminal_every_page_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(on_terminal=False)
    with caplog.at_level(logging.INFO):
        progress.start("Titles", None)
        progress.advance(100, page="'a b'", new=3)
        progress.expect(150)
        progress.advance(50)
        progress.start("Chapters", 7)
        progress.advance(1)
        progress.close()
    assert [record.getMessage() for record in caplog.records] == [
        "Progress: Titles done=100 of=? page='a b' new=3",
        "Progress: Titles done=150 of=150",
        "Progress: Chapters done=1 of=7",
    ]


class Terminal:
    """Runs a program on a terminal of its own, and keeps what it shows."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self.shown = b""
        reader = threading.Thread(target=self._read, args=(ours,))
        reader.start()
        try:
            process = subprocess.Popen(
                command, env=env, cwd=ROOT, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE
            )
            os.close(theirs)
            self.stdout, _ = process.communicate(timeout=60)
            self.code = process.returncode
        finally:
            reader.join(10)
            os.close(ours)

    def _read(self, terminal: int) -> None:
        while True:
            try:
                more = os.read(terminal, 65_536)
            except OSError:  # the program's end is closed
                return
            if not more:
                return
            self.shown += more

    @property
    def lines(self) -> list[str]:
        """What was shown, in the order of writing, without what steers the terminal."""
        text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.shown).decode(errors="replace")
        return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


LOGGING_BAR = """
import logging, sys
from batch.reporting.progress import Progress
from mangahub import log
log.configure()
progress = Progress()
progress.start("Titles", 3)
for number in range(3):
    logging.getLogger("batch").warning("between number=%d", number)
    progress.advance(1, page=number)
progress.close()
logging.getLogger("batch").warning("after")
print("stdout is left alone")
"""


def test_on_a_terminal_a_bar_moves_below_the_log_lines(
    clean_environment: dict[str, str],
) -> None:
    terminal = Terminal(
        [sys.executable, "-W", "error", "-c", LOGGING_BAR], clean_environment | {"TERM": "xterm"}
    )
    assert (terminal.code, terminal.stdout) == (0, b"stdout is left alone\n")
    warnings = [line for line in terminal.lines if "WARNING batch: " in line]
    assert [line.split(": ")[1] for line in warnings] == [
        "between number=0",
        "between number=1",
        "between number=2",
        "after",
    ]
    bars = [line for line in terminal.lines if line.startswith("Titles")]
    assert any("0/3" in line for line in bars) and any("3/3" in line for line in bars)
    assert not any("done=" in line for line in terminal.lines)


def test_a_real_run_on_a_terminal_shows_its_bar_and_warnings_above_it(
    simulator: Callable[..., Simulator],
    environment: Callable[..., dict[str, str]],
    clean_environment: dict[str, str],
) -> None:
    sim = simulator(titles=400, rate=0)
    sim.fail("500", skip=1)
    env = clean_environment | environment(sim, WORKERS="2") | {"TERM": "xterm"}
    terminal = Terminal(
        [sys.executable, "-m", "batch", "initial-sync", "--count", "300", "--json"], env
    )
    assert terminal.code == 0, terminal.lines
    assert json.loads(terminal.stdout.splitlines()[-1])["manga_new"] == 300
    [warning] = [line for line in terminal.lines if "A request will be repeated" in line]
    assert re.match(r"\d{4}-\d\d-\d\dT\S+ WARNING batch\.mangadex\.client: ", warning)
    assert any(re.match(r"Titles .* 300/300", line) for line in terminal.lines)


def test_handlers_to_elsewhere_are_left_alone(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log")
    logging.getLogger().addHandler(handler)
    try:
        stream = handler.stream
        progress = Progress(on_terminal=True)
        progress.start("Titles", 1)
        progress.close()
        assert handler.stream is stream
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
