"""The notification server is restarted and killed under load: all is told, and nothing twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from mangadex_sim import Simulator
from tests.end_to_end.load import (
    add_users,
    check_all_is_told,
    delivering,
    owe_events,
    wait_for_receipts,
)
from tests.end_to_end.readers import Readers

EVENTS = 300
READERS = 50
SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)


def test_a_server_that_is_ended_again_and_again_loses_and_doubles_nothing(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
    make_readers: Callable[..., Readers],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = make_hub(simulator(titles=1), database_url)
    add_users(database_url, READERS)
    owe_events(database_url, EVENTS)
    server = hub.serve()
    ports = {"http_port": hub.env["UDP_SERVER_URL"].rpartition(":")[2]}
    ports["udp_port"] = hub.udp.rpartition(":")[2]
    readers = make_readers(hub)
    readers.wait_until_connected()
    with delivering(hub, monkeypatch):
        for turn, number in enumerate(SIGNALS, 1):
            reached = turn * EVENTS // (len(SIGNALS) + 1)
            wait_for_receipts(database_url, reached)
            os.kill(server.pid, number)
            server.communicate(timeout=15)
            server = hub.serve(**ports)
        readers.wait_until_each_heard(EVENTS, patience_s=30)
    check_all_is_told(database_url, readers, EVENTS)
