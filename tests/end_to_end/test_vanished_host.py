"""The host of a run vanishes without a word: the server gives its workflow's lock back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sql
from mangahub.env import Env
from sql import embedded
from sql.embedded import binaries, owner
from sql.state import workflows
from tests.support.databases import OwnDatabase
from tests.support.network import SecondHost, second_host
from tests.support.paths import ROOT
from tests.support.programs import kill
from tests.support.waiting import wait_until

# What is pinned takes half a minute; the same in two seconds.
QUICK = {
    "tcp_keepalives_idle": "1",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "1",
    "tcp_user_timeout": "2000",
}
HOLDER = """
import time, sql
from batch.store import locks
sql.connection.PINNED.update({quick})
connection = sql.connect({url!r})
locks.take_lock(connection, "chapter_feed")
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def host(home: Path) -> Iterator[SecondHost]:
    with second_host() as found:
        yield found


@pytest.fixture
def server(host: SecondHost, own_database: OwnDatabase) -> Iterator[str]:
    """The test's own database, which the second host reaches too; yield how we reach it."""
    own_database.stop()
    place = embedded.places(own_database.home)
    user = owner.choose(place.home)
    user.append(place.cluster / "pg_hba.conf", f"host all all {host.address}/32 trust\n")
    program = binaries.find(Env({}), None).folder / "postgres"
    settings = [f"listen_addresses={host.our_address}", f"unix_socket_directories={place.sockets}"]
    command = [str(program), "-D", str(place.cluster), *(f"-c{each}" for each in settings)]
    log = subprocess.DEVNULL
    process = subprocess.Popen(command, stderr=log, stdout=log, **user.process_arguments())
    try:
        wait_until(lambda: embedded.is_ready(place))
        yield own_database.url
    finally:
        process.terminate()
        kill(process)


def test_its_lock_is_free_again(server: str, host: SecondHost) -> None:
    url = f"postgresql://mangahub@{host.our_address}/mangahub"
    script = HOLDER.format(quick=QUICK, url=url)
    command = host.command(sys.executable, "-c", script)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"locked\n"
            with sql.connect(server) as connection:
                assert workflows.is_running(connection, "chapter_feed")
                host.pull_cable()
                wait_until(lambda: not workflows.is_running(connection, "chapter_feed"))
        finally:
            holder.kill()
