"""Makes, starts and stops the server of one data directory. The caller holds the lock."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

from sql.embedded import processes
from sql.embedded.binaries import Binaries
from sql.embedded.owner import Owner
from sql.embedded.places import Places
from sql.embedded.processes import POLL_S, wait_until
from sql.errors import EmbeddedUnavailable

_STOP_TIMEOUT_S = 60.0
# A server that was killed replays its log first.
_START_TIMEOUT_S = 120.0
_ORPHANS_S = 2.0  # for the children of a server that was killed
_REMOVALS = 20
_UNFINISHED = ".data-"

_CONFIGURATION = """
# Written once for the embedded server; you may change what follows.
max_connections = 100
shared_buffers = 64MB
work_mem = 8MB
maintenance_work_mem = 64MB
max_wal_size = 256MB
log_timezone = 'UTC'
timezone = 'UTC'
log_line_prefix = '%m [%p] '
"""


def exists(places: Places) -> bool:
    return (places.cluster / "PG_VERSION").is_file()


def major_version(places: Places) -> int | None:
    """Return the version that made the data directory; None if there is none yet."""
    try:
        return int((places.cluster / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise EmbeddedUnavailable(f"{places.cluster} is not a PostgreSQL data directory") from exc


def create(places: Places, binaries: Binaries, owner: Owner, durable: bool = True) -> None:
    """Make a new data directory beside its place and move it there when it is whole."""
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=places.home))
    try:
        owner.give(unfinished)
        _initdb(unfinished, binaries, owner, durable)
        settings = _CONFIGURATION if durable else _CONFIGURATION + "fsync = off\n"
        owner.append(unfinished / "postgresql.conf", settings)
        os.rename(unfinished, places.cluster)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def remove_unfinished(places: Places) -> None:
    """Remove what a killed `create` left; its children may still be writing for a moment."""
    pause = Event()
    for _ in range(_REMOVALS):
        left_overs = list(places.home.glob(f"{_UNFINISHED}*"))
        for left_over in left_overs:
            shutil.rmtree(left_over, ignore_errors=True)
        if not any(left_over.exists() for left_over in left_overs):
            return
        pause.wait(POLL_S)


def _initdb(target: Path, binaries: Binaries, owner: Owner, durable: bool) -> None:
    locale = ["--locale=C.UTF-8"]
    if binaries.major >= 17:
        # The built-in provider needs no locale of the host.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command = [str(binaries.folder / "initdb"), "-D", str(target), "-U", "postgres", "-A", "trust"]
    options = ["-E", "UTF8", "--data-checksums", *locale, *([] if durable else ["--no-sync"])]
    done = subprocess.run(
        command + options, capture_output=True, text=True, cwd="/", **owner.process_arguments()
    )
    if done.returncode == 0:
        return
    raise EmbeddedUnavailable(
        f"cannot make a database in {target.parent}: {_complaint(done.stderr)}: "
        "fix it, set MANGAHUB_DATA to another place, or set DATABASE_URL"
    )


def _complaint(text: str) -> str:
    """Return the line of PostgreSQL's output that names the error.

    Lines about starting up, or not accepting connections, are answers to our own probes.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if "FATAL:  the database system is" not in line] or lines
    # If the disk is full, other errors are consequences of that.
    lines = [line for line in lines if "No space left on device" in line] or lines
    for mark in ("PANIC:", "FATAL:", "error:", "ERROR:", "could not"):
        for line in lines:
            if mark in line:
                return line.rpartition(mark)[2].strip() if mark.endswith(":") else line
    return lines[-1] if lines else "it ended without a message"


def start(places: Places, binaries: Binaries, owner: Owner, is_ready: Callable[[], bool]) -> None:
    """Start the server and wait until it takes connections.

    Raises:
        EmbeddedUnavailable: it ended, or is not ready in time; the text has its message.
    """
    _clear_the_way(places)
    await_ready(places, _spawn(places, binaries, owner), is_ready)


def await_ready(places: Places, pid: int, is_ready: Callable[[], bool]) -> None:
    """Wait for a server that starts; it may have to replay its log first."""
    wait_until(lambda: is_ready() or not processes.is_alive(pid), _START_TIMEOUT_S)
    if is_ready():
        return
    if processes.is_alive(pid):
        raise EmbeddedUnavailable(f"the embedded server does not become ready: see {places.log}")
    raise EmbeddedUnavailable(
        f"the embedded server ended at once: {_complaint(_tail(places.log))} "
        f"(see {places.log}): fix it, or set DATABASE_URL"
    )


def _clear_the_way(places: Places) -> None:
    """Remove what a killed server left: its children, and files that name another process now.

    PostgreSQL would not start if their pid is in use again by the same user.
    """
    if not wait_until(lambda: not processes.server_processes(places.cluster), _ORPHANS_S):
        # Their postmaster is dead, so they cannot commit anything any more.
        for pid in processes.server_processes(places.cluster):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not processes.server_processes(places.cluster), _ORPHANS_S)
    for lock in (places.cluster / "postmaster.pid", places.socket_lock, places.socket):
        lock.unlink(missing_ok=True)


def _spawn(places: Places, binaries: Binaries, owner: Owner) -> int:
    """Start `postgres` as a grandchild in a session of its own; return its pid.

    The shell in between ends at once, so that we need not collect the server, it does not inherit
    our pipes, and Ctrl-C in our terminal does not reach it.
    """
    settings = [
        "-c", "listen_addresses=", "-c", f'unix_socket_directories="{places.sockets}"',
        "-c", "port=5432", "-c", "logging_collector=off", "-c", "log_destination=stderr",
    ]  # fmt: skip
    script = 'log=$1; shift; umask 077; "$@" </dev/null >"$log" 2>&1 & echo $!'
    postgres = [str(binaries.folder / "postgres"), "-D", str(places.cluster), *settings]
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(places.log), *postgres],
        capture_output=True, text=True, cwd="/", **owner.process_arguments(),
    )  # fmt: skip
    if not done.stdout.strip().isdigit():
        raise EmbeddedUnavailable(f"cannot start PostgreSQL: {_complaint(done.stderr)}")
    return int(done.stdout)


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError as exc:
        return str(exc)


def stop(places: Places) -> bool:
    """Shut down fast: end open sessions, keep what was committed. False if it did not run.

    Raises:
        EmbeddedUnavailable: it does not end in time.
    """
    pid = processes.postmaster(places.cluster)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGINT)
    except PermissionError as exc:
        raise EmbeddedUnavailable(f"not permitted to stop the server, process {pid}") from exc
    except ProcessLookupError:
        return True
    if not wait_until(lambda: not processes.is_alive(pid), _STOP_TIMEOUT_S):
        raise EmbeddedUnavailable(f"the server, process {pid}, does not end")
    return True
