"""`migrate` ends within seconds of TERM or INT, also where it waits for a table or another."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest

import sql
from sql import schema
from tests.support.waiting import wait_until

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize(
    "hold",
    [
        pytest.param("SELECT FROM manga", id="a table"),
        pytest.param(f"SELECT pg_advisory_xact_lock({schema._LOCK_KEY})", id="another migration"),
        pytest.param("LOCK sync_schema_migrations", id="the record of migrations"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_migration_that_waits(
    empty_database_url: str, start_program: Start, hold: str, number: signal.Signals
) -> None:
    with sql.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE manga (id bigserial PRIMARY KEY, title text NOT NULL)")
        connection.execute(schema._CREATE)
        with connection.transaction():
            connection.execute(hold.encode())
            process = start_program("batch", "migrate", env={"DATABASE_URL": empty_database_url})
            await_waiting(empty_database_url)
            process.send_signal(number)
            stderr = process.communicate(timeout=8)[1]
        assert process.returncode == 128 + number
        assert f"stopped by signal {number:d}" in stderr
        assert "Traceback" not in stderr
    assert "0011_first_rows" in sql.migrate(empty_database_url)


def await_waiting(url: str) -> None:
    """Until a session of `migrate` waits for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND application_name = 'mangahub-migrate' AND datname = current_database()"
    )
    with sql.connect(url) as connection:
        wait_until(lambda: connection.execute(query).fetchone() != (0,))


def test_a_stop_between_two_migrations_keeps_the_first(empty_database_url: str) -> None:
    def is_stopped() -> bool:
        with sql.connect(empty_database_url) as connection:
            return connection.execute("SELECT to_regclass('sync_pages')").fetchone() != (None,)

    with pytest.raises(sql.MigrationStopped):
        sql.migrate(empty_database_url, is_stopped)
    assert sql.migrate(empty_database_url)[-1] == schema.migrations()[-1].name
