"""What the batch's benchmarks share: a stand-in source, a database, a timed run, a table."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import sql
from mangadex_sim import SimControl
from mangahub.env import Env
from sql import embedded

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Measured:
    """One run of the batch: wall time of the whole process, its JSON, the most memory (PSS)."""

    wall_s: float
    report: dict[str, Any]
    peak_mb: float


@contextmanager
def source(*arguments: str) -> Iterator[SimControl]:
    """Start a stand-in API in a process of its own, with 200 ms latency and its rate limit on."""
    command = [sys.executable, "-m", "mangadex_sim", "--port", "0", "--latency", "200", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with suppress(PermissionError):  # arrivals are noted when they come, also on a busy machine
        os.setpriority(os.PRIO_PROCESS, process.pid, -15)
    try:
        yield SimControl(process.stdout.readline().split()[-1])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@contextmanager
def server() -> Iterator[str]:
    """Start an embedded PostgreSQL as users have it, in a directory of its own; yield its URL."""
    folder = Path(tempfile.mkdtemp(prefix="mangahub-bench-"))
    folder.chmod(0o755)
    try:
        embedded.ensure_running(folder, Env({}))
        yield embedded.places(folder).url("postgres", "postgres")
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server_url: str, name: str) -> str:
    """Make an empty database with the current schema; replace one of that name."""
    with sql.connect(server_url) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    url = server_url.replace("/postgres?", f"/{name}?")
    sql.migrate(url)
    return url


def run_batch(
    api: SimControl,
    database_url: str,
    *arguments: str,
    memory: bool = False,
    prefix: Sequence[str] = (),
    **settings: str,
) -> Measured:
    """Run a command to its end; fail loudly where it does."""
    began_s = time.monotonic()
    process = start_batch(
        batch_environment(api, database_url, **settings), *arguments, prefix=prefix
    )
    with _watching(process.pid, memory) as peak:
        output, _ = process.communicate(timeout=3600)
    wall_s = time.monotonic() - began_s
    report = json.loads(output.splitlines()[-1])
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed: {report}")
    return Measured(wall_s, report, peak[0])


def batch_environment(api: SimControl, database_url: str, **settings: str) -> dict[str, str]:
    """Return the variables of a batch that asks the stand-in."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
        "DATABASE_URL": database_url,
        "MANGADEX_API_URL": api.url,
        "UDP_SERVER_URL": "http://127.0.0.1:9",
        "LOG_LEVEL": "WARNING",
        **settings,
    }


def start_batch(
    environment: dict[str, str],
    *arguments: str,
    prefix: Sequence[str] = (),
    own_group: bool = False,
) -> subprocess.Popen[str]:
    """Start `python -m batch … --json` as a timer would.

    Args:
        prefix: a command that runs the rest, such as `ip netns exec NAME`.
        own_group: whether signals to its process group reach it and its children alone.
    """
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "batch", *arguments, "--json"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0 if own_group else None,
    )


@contextmanager
def _watching(pid: int, memory: bool) -> Iterator[list[float]]:
    """Follow the proportional set size of a process and all below it, where asked to."""
    peak, done = [0.0], threading.Event()

    def follow() -> None:
        while not done.wait(0.25):
            peak[0] = max(peak[0], sum(pss_mb(each) for each in family(pid)))

    thread = threading.Thread(target=follow)
    if memory:
        thread.start()
    try:
        yield peak
    finally:
        done.set()
        if memory:
            thread.join()


def family(pid: int) -> list[int]:
    """Return a process and everything below it."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [pid, *(each for child in text.split() for each in family(int(child)))]


def pss_mb(pid: int) -> float:
    """Return the proportional set size: shared pages are divided among all who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def middle(values: Sequence[float]) -> float:
    return median(values)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a plain table; columns are as wide as they need to be."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}")
    for row in [header, ["-" * width for width in widths], *rows]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
