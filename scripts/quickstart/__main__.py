"""`python -m scripts.quickstart [--offline]`: the tour from an empty database to a notification.

Exit codes: 0 done · 1 failed · 2 bad usage or configuration · 75 try again later · 128 + N stopped
by signal N. Whatever happens, what was started is stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mangadex_sim import SimControl
from mangahub.env import SettingError
from scripts.quickstart import places
from scripts.quickstart.catalogue import Catalogue
from scripts.quickstart.chain import READER, Chain
from scripts.quickstart.programs import Program, Programs, TourError, resolved
from scripts.quickstart.screen import Column, Screen
from scripts.quickstart.signals import Interrupted, Signals
from sql import SqlError

_PROBE_S = 5.0
_STAND_IN = ("--titles", "400", "--seed", "1", "--latency", "150")
_STAND_IN_PORT = 8099  # in what is proposed at the end
_COLUMNS = (
    Column("Title", share=5),
    Column("Author", share=2),
    Column("Status", width=9),
    Column("Genres", share=3),
)
_NOT_RUNNING = 3
# The probe needs no database: this one fails at once, and leaves no files.
_NO_DATABASE = "postgresql:///mangahub?host=/nonexistent"


def main(arguments: list[str]) -> int:
    """Shows the tour; returns the exit code."""
    signals, screen = Signals(), Screen()
    try:
        with tempfile.TemporaryDirectory(prefix="mangahub-quickstart-") as folder:
            _tour(screen, signals, Path(folder), "--offline" in arguments)
    except Interrupted as exc:
        screen.step("Stopped, with everything that was started")
        return 128 + exc.number
    except (TourError, SettingError, SqlError, OSError) as exc:
        print(f"quickstart: {exc}", file=sys.stderr)
        return exc.code if isinstance(exc, TourError) else 2 if isinstance(exc, SettingError) else 1
    return 0


def _tour(screen: Screen, signals: Signals, folder: Path, offline: bool) -> None:
    is_offline = offline or not _is_reachable(screen, signals, folder)
    data = places.choose_data(os.environ)
    if is_offline:
        data = data / "demo"
        places.make(data)
    base = places.stand_in_environment(os.environ) if is_offline else os.environ
    environment = places.environment(base, data, sys.stderr.isatty())
    programs = Programs(environment, folder, signals)
    with (
        places.only_one(
            data, lambda: screen.fact("Another tour is under way here; waiting."), signals.check
        ),
        ExitStack() as stack,
    ):
        catalogue = Catalogue(stack.enter_context(_database(screen, programs, signals)))
        stack.callback(programs.close)
        stand_in = _start_stand_in(screen, programs) if is_offline else None
        _import_titles(screen, programs, catalogue)
        chain = Chain(screen, programs, catalogue)
        chain.show_published(stand_in) if stand_in else chain.show_feed()
    _propose(screen, data, is_offline)


def _is_reachable(screen: Screen, signals: Signals, folder: Path) -> bool:
    """Asks the source once, for at most five seconds; says so loudly where it does not answer."""
    address = os.environ.get("MANGADEX_API_URL") or "https://api.mangadex.org"
    screen.step(f"Is {address} there?")
    environment = {**os.environ, "DATABASE_URL": _NO_DATABASE}
    doctor = Programs(environment, folder, signals)
    ended = doctor.run("mangahub-batch", "doctor", "--json", limit_s=_PROBE_S, is_quiet=True)
    answer = json.loads(ended.lines[-1]) if ended.lines else {}
    if ended.code == 2:
        raise TourError(answer["error"], 2)
    is_there = bool(answer.get("checks", {}).get("source", {}).get("ok"))
    if not is_there:
        screen.loud(f"{address} cannot be reached: using the bundled stand-in, with made-up titles")
    return is_there


@contextmanager
def _database(screen: Screen, programs: Programs, signals: Signals) -> Iterator[str]:
    """The embedded server's URL; it is stopped afterwards unless it has run before."""
    screen.step(f"Starting the embedded PostgreSQL in {programs.environment['MANGAHUB_DATA']}")
    if "DATABASE_URL" in os.environ:
        screen.fact("DATABASE_URL is left alone; scripts/initial_sync.sh imports into that one.")
    has_run_before = _control_database(programs, "status").returncode != _NOT_RUNNING
    try:
        # Never interrupted: a server that is half started could not be found and stopped.
        started = _control_database(programs, "start")
        signals.check()
        if started.returncode != 0:
            raise TourError(started.stderr.strip().removeprefix("sql: "), started.returncode)
        yield started.stdout.strip().splitlines()[-1]
    finally:
        if not has_run_before:
            _control_database(programs, "stop")


def _control_database(programs: Programs, order: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        resolved(("python", "-m", "sql", order)),
        env=programs.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )


def _start_stand_in(screen: Screen, programs: Programs) -> SimControl:
    screen.step("Starting the stand-in for the MangaDex API; its titles are made up")
    program: Program = programs.serve("stand-in", "python", "-m", "mangadex_sim", "--port", "0",
                                      *_STAND_IN)  # fmt: skip
    url = program.lines()[0].split()[-1]
    programs.environment["MANGADEX_API_URL"] = url
    screen.command(f"export MANGADEX_API_URL={url}")
    return SimControl(url)


def _import_titles(screen: Screen, programs: Programs, catalogue: Catalogue) -> None:
    screen.step("Importing the most followed titles")
    screen.command("mangahub-batch migrate && mangahub-batch initial-sync")
    programs.ask("mangahub-batch", "migrate")
    began_s = time.monotonic()
    done = programs.ask("mangahub-batch", "initial-sync")
    if done["status"] == "skipped":
        screen.fact(f"Done at an earlier time: {catalogue.count():,} titles are there.")
    else:
        screen.fact(
            f"New titles: {done['manga_new']:,}; requests: {done['requests']:,}; "
            f"{time.monotonic() - began_s:.1f} s"
        )
    screen.table(_COLUMNS, catalogue.some(6))


def _propose(screen: Screen, data: Path, is_offline: bool) -> None:
    screen.step("That is all; everything that was started has been stopped. To go on:")
    steps = [(". .venv/bin/activate", "or .venv/bin/… in front")]
    if is_offline or os.environ.get("MANGAHUB_DATA") or data.is_relative_to(places.CHECKOUT):
        steps.append((f"export MANGAHUB_DATA={data}", "this database"))
    if is_offline:
        titles = " ".join(_STAND_IN[:4])
        steps += [
            (f"python -m mangadex_sim --port {_STAND_IN_PORT} {titles} &", "the stand-in"),
            (
                f"export MANGADEX_API_URL=http://127.0.0.1:{_STAND_IN_PORT}",
                "ask it, not the real one",
            ),
        ]
    steps += [
        ("mangahub-batch status", "what ran when (starts the database)"),
        ("mangahub-batch chapter-feed", "look for new chapters"),
        ("mangahub-notify serve &", "the notification server"),
        (f"mangahub-notify key {READER}", "the key for scripts/udp_listener.py"),
        ("python -m sql stop", "stop the database"),
    ]
    screen.next_steps(steps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
