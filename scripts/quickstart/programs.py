"""Runs the project's programs as a person would, and ends those that stay."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scripts.quickstart.signals import Signals

_MODULES = {
    "python": (),
    "mangahub-batch": ("-m", "batch"),
    "mangahub-notify": ("-m", "notify_server"),
}
_POLL_S = 0.02
_READY_S = 30.0
_STOP_S = 15.0  # a program has promised to be gone after 10


class TourError(Exception):
    """The tour cannot go on; its text is for the newcomer.

    Attributes:
        code: the exit code.
    """

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Program:
    """One that stays; what it says goes to files, so that it never waits for a reader."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def lines(self) -> list[str]:
        """The whole lines that it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and its lines on stdout."""

    code: int
    lines: list[str]


class Programs:
    """Starts programs with one environment.

    Args:
        environment: the whole environment of every program.
        folder: an empty directory for what they print.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, signals: Signals) -> None:
        self.environment = dict(environment)
        self._folder = folder
        self._signals = signals
        self._running: list[Program] = []

    def run(self, *command: str, limit_s: float | None = None, is_quiet: bool = False) -> Ended:
        """Runs one that ends by itself, or is ended after `limit_s`.

        Its stderr, where progress is shown, is ours unless it shall be quiet.
        """
        output = self._folder / "output"
        with open(output, "wb") as out:
            process = self._spawn(command, out, subprocess.DEVNULL if is_quiet else None, {})
        try:
            self._await(lambda: process.poll() is not None, limit_s)
        finally:
            _end(process)
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        return Ended(process.returncode, lines)

    def ask(self, *command: str) -> dict[str, Any]:
        """Runs one with `--json`; returns the object in its last line.

        Raises:
            TourError: it failed.
        """
        ended = self.run(*command, "--json")
        if ended.code != 0:
            raise TourError(f"`{' '.join(command)}` failed: the reason is above", ended.code)
        answer: dict[str, Any] = json.loads(ended.lines[-1])
        return answer

    def serve(
        self,
        name: str,
        *command: str,
        is_ready: Callable[[Program], bool] = lambda program: bool(program.lines()),
        **variables: str,
    ) -> Program:
        """Starts one that stays, and returns when it is ready: when it has printed a line.

        Raises:
            TourError: it ended, or does not get ready.
        """
        output, log = self._folder / f"{name}.out", self._folder / f"{name}.log"
        with open(output, "wb") as out, open(log, "wb") as err:
            program = Program(name, self._spawn(command, out, err, variables), output, log)
        self._running.append(program)
        self.wait_for(program, lambda: is_ready(program), _READY_S)
        return program

    def wait_for(self, program: Program, condition: Callable[[], bool], limit_s: float) -> None:
        """Raises TourError where the program ends or the condition does not become true in time."""
        self._await(lambda: condition() or program.process.poll() is not None, limit_s)
        if condition():
            return
        words = _last_words(program.log)
        state = "ended" if program.process.poll() is not None else "says nothing"
        raise TourError(f"the {program.name} {state}{words and ': '}{words}")

    def close(self) -> None:
        """Ends what still runs, the last one first."""
        for program in reversed(self._running):
            _end(program.process)
        self._running.clear()

    def _spawn(
        self,
        command: Sequence[str],
        out: IO[bytes],
        err: IO[bytes] | int | None,
        more: dict[str, str],
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            resolved(command),
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the others in order
        )

    def _await(self, is_over: Callable[[], bool], limit_s: float | None) -> None:
        deadline_s = None if limit_s is None else time.monotonic() + limit_s
        while not is_over():
            self._signals.check()
            if deadline_s is not None and time.monotonic() > deadline_s:
                return
            time.sleep(_POLL_S)
        self._signals.check()


def resolved(command: Sequence[str]) -> list[str]:
    """With the Python that runs us, whether or not its environment has been activated."""
    first, *others = command
    return [sys.executable, *_MODULES[first], *others]


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks the program to end, and insists where it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
