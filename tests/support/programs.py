"""Starting and ending the real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

_KEPT = ("PATH", "LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "COVERAGE_PROCESS_CONFIG")


def let_programs_hear_signals() -> None:
    """Undo for our programs what a background job of a script and `nohup` have ignored.

    An ignored signal stays ignored in every program that is started, a handled one does not.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@dataclass(frozen=True)
class Finished:
    """What a program left: its exit code (negative: the signal that killed it) and its output."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The last line of stdout, which `--json` makes one object."""
        return json.loads(self.stdout.splitlines()[-1])


NOWHERE = "http://127.0.0.1:9"  # where no test sends anything


class Programs:
    """Programs of one test, with text pipes and in process groups of their own.

    Programs inherit nothing of our environment except what Python needs.
    """

    def __init__(self, home: Path) -> None:
        own = {"HOME": str(home), "MANGAHUB_DATA": str(home), "PYTHONUNBUFFERED": "1"}
        own |= dict.fromkeys(("MANGADEX_COVERS_URL", "MANGADEX_AUTH_URL"), NOWHERE)
        self.environment = {n: os.environ[n] for n in _KEPT if n in os.environ} | own
        self._started: list[subprocess.Popen[str]] = []

    def start(
        self,
        module: str,
        *args: str,
        env: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Start `python -m module args`."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            cwd=ROOT,
            env=self.environment | (env or {}),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(
        self, module: str, *args: str, env: dict[str, str] | None = None, timeout: float = 60
    ) -> Finished:
        """Run `python -m module args` to its end; fail where it takes longer than `timeout` s."""
        process = self.start(module, *args, env=env)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            pytest.fail(f"{module} {args} did not end in {timeout} s\n{stdout}\n{stderr}")
        return Finished(process.returncode, stdout, stderr)

    def end(self) -> None:
        """Kill what is left of every process group."""
        for process in self._started:
            kill(process)


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill what is left of its process group, and close the pipes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
