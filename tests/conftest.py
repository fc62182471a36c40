"""Fixtures for all tests: a real PostgreSQL with a fresh database a test, real programs, no leaks.

The server is the embedded one in a directory of its own, or the one that
MANGAHUB_TEST_DATABASE_URL names (its user must be a superuser or may create databases).
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

import sql
from mangahub.env import Env
from sql import embedded
from tests.support.paths import ROOT

# A busy machine is no failure: examples are not timed.
hypothesis_settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("untimed")

# --- directories -------------------------------------------------------------------------------


def _make_directory(parent: Path | None = None) -> Path:
    """Below /tmp and open to all: pytest's own directories are closed to PostgreSQL's user."""
    folder = Path(tempfile.mkdtemp(prefix="mangahub-test-", dir=parent))
    folder.chmod(0o755)
    return folder


def _memory() -> Path | None:
    """A file system in memory with room: there a database is copied in 12 ms, not in 250."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        return None
    free = os.statvfs(place)
    return place if free.f_bavail * free.f_frsize > 2**30 else None


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for MANGAHUB_DATA; an embedded server that was started there is stopped."""
    folder = _make_directory(_memory())
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


# --- databases ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server on which databases may be made and dropped."""
    given = os.environ.get("MANGAHUB_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = _make_directory(_memory())
    try:
        embedded.ensure_running(folder, Env({}), durable=False)
        yield embedded.places(folder).url("postgres", "postgres")
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def admin(postgres: str) -> Iterator[sql.Connection]:
    """One connection for making and dropping databases."""
    with sql.connect(postgres, "mangahub-tests") as connection:
        yield connection


def with_database(url: str, name: str) -> str:
    """The same server's other database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex[:16]}"


def _drop(admin: sql.Connection, name: str) -> None:
    admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def _clone(admin: sql.Connection, template: str) -> str:
    name = _new_name()
    strategy = " STRATEGY file_copy" if admin.info.server_version >= 150000 else ""
    admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{strategy}'.encode())
    return name


@pytest.fixture(scope="session")
def template(postgres: str, admin: sql.Connection) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    name = _clone(admin, "template0")
    sql.migrate(with_database(postgres, name))
    yield name
    _drop(admin, name)


@pytest.fixture
def database_url(postgres: str, admin: sql.Connection, template: str) -> Iterator[str]:
    """A fresh database with the current schema."""
    name = _clone(admin, template)
    yield with_database(postgres, name)
    _drop(admin, name)


@pytest.fixture
def empty_database_url(postgres: str, admin: sql.Connection) -> Iterator[str]:
    """A fresh database without any table."""
    name = _clone(admin, "template0")
    yield with_database(postgres, name)
    _drop(admin, name)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """An open autocommit connection to `database_url`."""
    with sql.connect(database_url, "mangahub-tests") as opened:
        yield opened


# --- programs ----------------------------------------------------------------------------------


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


@pytest.fixture
def clean_environment(home: Path) -> dict[str, str]:
    """What a program gets besides a test's own variables: nothing of ours leaks into it."""
    names = ("PATH", "LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "HOME": str(home), "MANGAHUB_DATA": str(home), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def start_program(clean_environment: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """`start_program("notify_server", "serve", env={…})` → its Popen, with text pipes.

    Programs run in process groups of their own; what a test leaves behind is killed.
    """
    started: list[subprocess.Popen[str]] = []

    def start(module: str, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            cwd=ROOT,
            env={**clean_environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Kills what is left of its process group and closes the pipes."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(timeout=10)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@pytest.fixture
def run_program(start_program: Callable[..., Any]) -> Callable[..., Finished]:
    """`run_program("batch", "status", "--json", env={…}, timeout=30)` → `Finished`."""

    def run(
        module: str, *args: str, env: dict[str, str] | None = None, timeout: float = 30
    ) -> Finished:
        process = start_program(module, *args, env=env)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            pytest.fail(f"{module} {args} did not end in {timeout} s\n{stdout}\n{stderr}")
        return Finished(process.returncode, stdout, stderr)

    return run


@pytest.fixture
def run_batch(run_program: Callable[..., Finished]) -> Callable[..., Finished]:
    """`run_batch("chapter-feed", "--json", env={…})`."""

    def run(*args: str, env: dict[str, str] | None = None, timeout: float = 30) -> Finished:
        return run_program("batch", *args, env=env, timeout=timeout)

    return run


# --- leaks -------------------------------------------------------------------------------------

# Helpers of multiprocessing that live as long as the process, by its own design.
_LASTING = ("resource_tracker", "forkserver")


def _children() -> set[int]:
    """Our child processes, also those that ended and were not collected."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.update(int(pid) for pid in (task / "children").read_text().split())
        except OSError:
            continue
    return {pid for pid in found if not any(word in _command(pid) for word in _LASTING)}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _sockets() -> set[str]:
    found: set[str] = set()
    for handle in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{handle}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def _leaks(threads: set[threading.Thread], children: set[int], sockets: set[str]) -> list[str]:
    new_threads = [t.name for t in threading.enumerate() if t not in threads]
    new_children = [f"{pid} {_command(pid)}" for pid in _children() - children]
    new_sockets = list(_sockets() - sockets)
    return [
        f"{kind}: {', '.join(found)}"
        for kind, found in (
            ("threads", new_threads),
            ("child processes", new_children),
            ("sockets", new_sockets),
        )
        if found
    ]


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fails a test that leaves a thread, a child process or an open socket behind."""
    before = set(threading.enumerate()), _children(), _sockets()
    yield
    pause = threading.Event()
    deadline = monotonic() + 2
    while found := _leaks(*before):
        if monotonic() > deadline:
            pytest.fail(f"the test left behind {'; '.join(found)}")
        gc.collect()
        pause.wait(0.02)
