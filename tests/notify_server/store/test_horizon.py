"""Up to which notification everything is there, while others are being stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import sql
from notify_server.store.horizon import Horizon, acquire_lock

_SECOND = timedelta(seconds=1)
ADD = "INSERT INTO notifications (message) VALUES ('x') RETURNING id"


@pytest.fixture
def other(database_url: str) -> Any:
    with sql.connect(database_url) as opened:
        yield opened


def add(connection: Any) -> int:
    return int(connection.execute(ADD).fetchone()[0])


def test_what_is_committed_is_complete_after_two_looks(connection: Any) -> None:
    horizon, id = Horizon(), add(connection)
    assert not horizon.look(connection)
    assert horizon.look(connection) and horizon.id == id
    assert horizon.look(connection)


def test_an_empty_table_is_complete(connection: Any) -> None:
    assert Horizon().look(connection)


def test_who_commits_late_is_waited_for(connection: Any, other: Any) -> None:
    horizon = Horizon()
    with other.transaction():
        early = add(other)
        late = add(connection)
        for _ in range(3):
            assert not horizon.look(connection)
            assert horizon.id < early
    assert horizon.look(connection) and horizon.id == late


def test_what_begins_afterwards_is_not_waited_for(connection: Any, other: Any) -> None:
    horizon, id = Horizon(), add(connection)
    horizon.look(connection)
    horizon.look(connection)
    with other.transaction():
        add(other)
        horizon.look(connection)
        assert horizon.id == id


def test_a_transaction_of_another_program_is_not_waited_for_for_ever(
    connection: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify_server.store.horizon._LONGEST_TRANSACTION", -_SECOND)
    horizon = Horizon()
    with other.transaction():
        other.execute("INSERT INTO genres (name) VALUES ('x')")
        id = add(connection)
        horizon.look(connection)
        horizon.look(connection)
        assert horizon.id == id


def test_one_session_at_a_time_holds_the_lock(connection: Any, other: Any) -> None:
    assert acquire_lock(connection)
    assert not acquire_lock(other)
    connection.close()
    while not acquire_lock(other):
        pass
