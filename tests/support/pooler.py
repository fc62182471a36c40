"""PgBouncer in front of a test's database, where the system has it (Debian: `pgbouncer`)."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from sql.embedded import owner
from tests.support.waiting import wait_until

_PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
needs_pooler = pytest.mark.skipif(_PROGRAM is None, reason="PgBouncer is not installed")


@contextmanager
def pooler(database_url: str, folder: Path, **settings: object) -> Iterator[str]:
    """Yield the URL of a database behind a pooler with these settings of pgbouncer.ini."""
    assert _PROGRAM is not None
    target = conninfo_to_dict(database_url)
    names = ("host", "port", "user", "password", "dbname")
    place = " ".join(f"{name}={target[name]}" for name in names if name in target)
    port = _free_port()
    given = {"listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": ""} | settings
    lines = ["[databases]", f"* = {place}", "[pgbouncer]", "auth_type = any", "pidfile ="]
    file = folder / f"pgbouncer-{port}.ini"
    file.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in given.items())]))
    arguments = owner.choose(folder / "postgres").process_arguments()
    log = (folder / "pgbouncer.log").open("wb")
    with log, subprocess.Popen([_PROGRAM, str(file)], stdout=log, stderr=log, **arguments) as it:
        try:
            wait_until(lambda: _listens(port))
            user = quote(str(target.get("user", "postgres")))
            yield f"postgresql://{user}@127.0.0.1:{port}/{target['dbname']}"
        finally:
            it.kill()


def _free_port() -> int:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
