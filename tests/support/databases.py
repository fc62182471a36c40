"""PostgreSQL for tests: a server for each process of the suite, a database for each test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import sql
from mangahub.env import Env
from sql import embedded
from sql.embedded import processes
from tests.support.waiting import wait_until

_ROOM_BYTES = 2**30

# Settings of a DBA that programs have to override.
HOSTILE_SETTINGS = {
    "client_encoding": "latin1",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "exit_on_error": "on",
    "row_security": "off",
    "statement_timeout": "2s",
    "lock_timeout": "100ms",
    "idle_in_transaction_session_timeout": "100ms",
    "idle_session_timeout": "1s",
    "transaction_timeout": "2s",
    "tcp_keepalives_idle": "7200",
    "tcp_keepalives_interval": "75",
    "tcp_keepalives_count": "9",
    "tcp_user_timeout": "7200000",
}


@contextmanager
def running_server() -> Iterator[str]:
    """Yield the URL of a server on which databases may be made and dropped.

    It is the one that MANGAHUB_TEST_DATABASE_URL names (its user must be a superuser or may create
    databases), else an embedded one in a directory of its own.
    """
    given = os.environ.get("MANGAHUB_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with data_directory() as folder:
        embedded.ensure_running(folder, Env({}), durable=False)
        yield embedded.places(folder).url("postgres", "postgres")


@contextmanager
def data_directory() -> Iterator[Path]:
    """Yield a directory for MANGAHUB_DATA; stop the embedded server that was started there."""
    # All may enter; pytest's own directories are closed to PostgreSQL's user.
    folder = Path(tempfile.mkdtemp(prefix="mangahub-test-", dir=_memory()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """Return a file system in memory with room: there a database is copied in 12 ms, not in 250."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        return None
    free = os.statvfs(place)
    return place if free.f_bavail * free.f_frsize > _ROOM_BYTES else None


class Databases:
    """Databases of one server, made from templates."""

    def __init__(self, server_url: str, admin: sql.Connection) -> None:
        self._server_url = server_url
        self._admin = admin
        # Since PostgreSQL 15 the default strategy writes the whole template to the log.
        self._strategy = " STRATEGY file_copy" if admin.info.server_version >= 150000 else ""

    @contextmanager
    def copy_of(self, template: str = "template0") -> Iterator[str]:
        """Yield the URL of a new database; its template must have no connections."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{self._strategy}')
        try:
            yield urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))
        finally:
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        self._admin.execute(statement.encode())


def make_hostile(connection: sql.Connection, whose: str) -> None:
    """Set HOSTILE_SETTINGS by `ALTER whose`: DATABASE name, or ROLE name IN DATABASE name."""
    for name, value in HOSTILE_SETTINGS.items():
        if connection.execute("SELECT current_setting(%s, true)", [name]).fetchone() != (None,):
            connection.execute(f"ALTER {whose} SET {name} = '{value}'".encode())


@contextmanager
def limited_role(connection: sql.Connection, url: str, connections: int) -> Iterator[str]:
    """Yield the database's URL for a role of all rights that may open so few connections."""
    role = f"few_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}".encode())
    for kind in ("TABLES", "SEQUENCES"):
        connection.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {role}".encode())
    try:
        yield re.sub("//[^@]*@", f"//{role}@", url)
    finally:
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


class OwnDatabase:
    """An embedded PostgreSQL of a test's own, to be stopped, killed and started."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = self.start()
        sql.migrate(self.url)

    def start(self) -> str:
        return embedded.ensure_running(self.home, Env({}), durable=False)

    def stop(self) -> None:
        """Shut it down fast, as an update of the package or `systemctl restart` does."""
        embedded.stop(self.home)

    def crash(self) -> None:
        """Kill all its processes with SIGKILL."""
        cluster = embedded.places(self.home).cluster
        postmaster = embedded.pid(self.home)
        assert postmaster is not None
        for pid in [postmaster, *processes.server_processes(cluster)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not processes.server_processes(cluster))

    def execute(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with sql.connect(self.url) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []
