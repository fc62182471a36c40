"""The embedded PostgreSQL: one server for all programs of a user, started when first needed.

It keeps running afterwards, like any database server; `python -m sql stop` stops it. Whatever is
killed in between, the next program that needs it finds or starts a working server.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mangahub.env import Env
from sql.connection import connect, translated
from sql.embedded import binaries, cluster, owner, processes
from sql.embedded.places import Places, explain, prepare
from sql.embedded.processes import wait_until
from sql.errors import DatabaseDown, EmbeddedUnavailable

_LOCK_TIMEOUT_S = 180.0
_WATCH_INTERVAL_S = 0.5


def places(data: Path) -> Places:
    return Places(data / "postgres")


def ensure_running(data: Path, env: Env, durable: bool = True) -> str:
    """Return the URL of the server that keeps its files below `data`; start it if necessary.

    Raises:
        EmbeddedUnavailable: it cannot be started here.
    """
    place = places(data)
    if not is_ready(place):
        user = owner.choose(place.home)
        prepare(place, user)
        with _locked(place, user):
            _start(place, user, env, durable)
    return place.url()


def is_ready(place: Places) -> bool:
    """Return whether the server takes connections and has our database; starts no process."""
    return os.path.isdir(place.sockets) and _answers(place.url())


def _answers(url: str) -> bool:
    try:
        connect(url, "mangahub-probe").close()
    except DatabaseDown:
        return False
    return True


def stop(data: Path) -> bool:
    """Stop the server, ending open sessions; False if it was not running."""
    place = places(data)
    if pid(data) is None:
        return False
    with _locked(place, owner.choose(place.home)):
        return cluster.stop(place)


def watch(data: Path, env: Env, signals: set[signal.Signals]) -> bool:
    """Run the server until one of the signals, which must be blocked, comes; then stop it.

    False if it ended by itself.
    """
    ensure_running(data, env)
    while signal.sigtimedwait(signals, _WATCH_INTERVAL_S) is None:
        if pid(data) is None:
            return False
    stop(data)
    return True


def pid(data: Path) -> int | None:
    return processes.postmaster(places(data).cluster)


def _start(place: Places, user: owner.Owner, env: Env, durable: bool) -> None:
    """Look again under the lock, then make and start what is missing."""
    if is_ready(place):
        return
    programs = binaries.find(env, cluster.major_version(place))
    programs = binaries.reachable(programs, user, place.home.parent)
    try:
        cluster.remove_unfinished(place)
        if not cluster.exists(place):
            cluster.create(place, programs, user, durable)
        _run(place, programs, user)
    except OSError as exc:
        raise EmbeddedUnavailable(explain(exc, place.home)) from exc


def _run(place: Places, programs: binaries.Binaries, user: owner.Owner) -> None:
    """Start the server, or wait for one that is starting; replace one without its socket."""
    admin = place.url("postgres", "postgres")
    running = processes.postmaster(place.cluster)
    if running is not None and place.socket.exists():
        cluster.await_ready(place, running, lambda: _answers(admin))
    else:
        cluster.stop(place)
        cluster.start(place, programs, user, lambda: _answers(admin))
    with translated():
        _ensure_database(admin)


def _ensure_database(admin: str) -> None:
    """Create the role and the database; a start that was killed may lack them."""
    with connect(admin, "mangahub-start") as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'mangahub'").fetchall():
            connection.execute("CREATE ROLE mangahub LOGIN")
        found = connection.execute("SELECT FROM pg_database WHERE datname = 'mangahub'")
        if not found.fetchall():
            connection.execute("CREATE DATABASE mangahub OWNER mangahub")


@contextmanager
def _locked(place: Places, user: owner.Owner) -> Iterator[None]:
    """Let only one program at a time start or stop the server; a dead one's lock is released."""
    try:
        handle = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise EmbeddedUnavailable(explain(exc, place.home)) from exc
    try:
        user.give(place.lock)
        if not wait_until(lambda: _has_locked(handle), _LOCK_TIMEOUT_S):
            raise EmbeddedUnavailable("another program has been starting it for too long")
        yield
    finally:
        os.close(handle)


def _has_locked(handle: int) -> bool:
    """Lock the file if no other program has; return whether it is ours."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
