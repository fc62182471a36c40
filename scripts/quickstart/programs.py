"""Runs the project's programs as a person would, and ends those that stay."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

_MODULES = {
    "python": (),
    "mangahub-batch": ("-m", "batch"),
    "mangahub-notify": ("-m", "notify_server"),
    "mangahub-web": ("-m", "website"),
}
_POLL_S = 0.02
_READY_S = 30.0
_STOP_S = 15.0  # a program has promised to be gone after 10


class TourError(Exception):
    """The tour cannot continue; the text is for the newcomer.

    Attributes:
        code: the exit code.
    """

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


class Interrupted(TourError):
    """The tour was asked to end by a signal."""


class Signals:
    """Remembers a signal until it can be obeyed with nothing half done, and nothing left over."""

    def __init__(self) -> None:
        self._number: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                signal.signal(number, self._remember)

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._number is not None:
            raise Interrupted(f"stopped by signal {self._number}", 128 + self._number)

    def wait(self, is_over: Callable[[], bool], limit_s: float = math.inf) -> bool:
        """Wait until it is over; return whether it is, False after `limit_s`."""
        deadline_s = time.monotonic() + limit_s
        while not (ended := is_over()) and time.monotonic() < deadline_s:
            self.check()
            time.sleep(_POLL_S)
        self.check()
        return ended

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._number = self._number or number


@dataclass(frozen=True, slots=True)
class Program:
    """One that stays; what it prints goes to files, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def find(self, text: str) -> str | None:
        """Return the newest whole line of stdout or stderr that contains this text."""
        found = [
            line
            for file in (self.log, self.output)
            for line in file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            if text in line
        ]
        return found[-1] if found else None


class Programs:
    """Starts programs with one environment.

    Args:
        environment: the whole environment of every program.
        folder: an empty directory for what they print.
    """

    def __init__(self, environment: dict[str, str], folder: Path, signals: Signals) -> None:
        self.environment = environment
        self._folder = folder
        self._signals = signals
        self._running: list[Program] = []

    def run(self, *command: str, limit_s: float = math.inf, quiet: bool = False) -> tuple[int, str]:
        """Run one that ends by itself, or is ended after `limit_s`.

        Returns:
            its exit code and its last line on stdout. Its stderr is ours unless `quiet`.
        """
        program = self._start(command, {}, shows_log=not quiet)
        try:
            self._signals.wait(lambda: program.process.poll() is not None, limit_s)
        finally:
            _end(program.process)
        return program.process.returncode, program.find("") or ""

    def ask(self, *command: str) -> dict[str, Any]:
        """Run one with `--json` and return its object.

        Raises:
            TourError: it failed.
        """
        code, line = self.run(*command, "--json")
        if code != 0:
            raise TourError(f"`{' '.join(command)}` failed: the reason is above", code)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def serve(self, *command: str, ready: str = "", **variables: str) -> tuple[Program, str]:
        """Start one that stays; return it and the line with the text `ready`, once it is printed.

        Raises:
            TourError: it ended, or does not print that.
        """
        program = self._start(command, variables, shows_log=False)
        self._running.append(program)
        return program, self.hear(program, ready, _READY_S)

    def hear(self, program: Program, text: str, limit_s: float) -> str:
        """Return the newest line with this text, once it is printed.

        Raises:
            TourError: the program ended, or does not print that in time.
        """
        ended = program.process.poll
        self._signals.wait(lambda: bool(program.find(text)) or ended() is not None, limit_s)
        if line := program.find(text):
            return line
        state = "ended" if ended() is not None else f"has not printed {text!r}"
        raise TourError(f"{program.output.name} {state}: {program.find('') or 'no word from it'}")

    def close(self) -> None:
        """End what still runs, the last one first."""
        while self._running:
            _end(self._running.pop().process)

    def _start(
        self, command: tuple[str, ...], variables: dict[str, str], shows_log: bool
    ) -> Program:
        name = " ".join(command[:2]).replace("/", "-")
        output, log = self._folder / name, self._folder / f"{name}.log"
        with output.open("wb") as out, log.open("wb") as err:
            process = subprocess.Popen(
                resolved(*command),
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=None if shows_log else err,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end the others in order
            )
        return Program(process, output, log)


def resolved(name: str, *arguments: str) -> list[str]:
    """Return a command with the Python that runs us, be its environment activated or not."""
    return [sys.executable, *_MODULES[name], *arguments]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the program to end, and insist where it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
