"""The notification server is restarted and killed under load: all news arrive, none twice."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from mangadex_sim import Simulator
from tests.support.hub import Hub
from tests.support.load import (
    add_users,
    check_all_is_read,
    check_all_is_told,
    count,
    delivering,
    owe_events,
    wait_for_receipts,
)
from tests.support.readers import Readers
from tests.support.waiting import wait_until

EVENTS = 300
READERS = 50
SEED = 20260314
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


def test_nothing_grows_with_events_reconnects_and_garbage(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
    make_readers: Callable[..., Readers],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = make_hub(simulator(titles=1), database_url)
    add_users(database_url, 20)
    server = hub.serve()
    chance = random.Random(SEED)
    held = []
    for turn in range(1, 4):
        owe_events(database_url, 50, prefix=f"turn-{turn}")
        for _ in range(5):  # each time new clients: the ones before just vanish
            readers = make_readers(hub)
            readers.wait_until_connected()
            readers.close()
        readers = make_readers(hub)
        readers.wait_until_connected()
        with delivering(hub, monkeypatch):
            readers.wait_until_each_heard(50, patience_s=20)
        _send_garbage(hub, chance)
        _post_garbage(hub, chance)
        readers.close()
        assert requests.get(hub.env["UDP_SERVER_URL"] + "/readyz", timeout=5).status_code == 200
        held.append(Held(server.pid))
    check_all_is_read(database_url)
    assert count(database_url, "notifications") == 3 * 50 * 20
    assert held[2].threads == held[0].threads
    wait_until(lambda: Held(server.pid).descriptors <= held[1].descriptors)
    assert held[2].memory_kb <= held[1].memory_kb * 1.1


class Held:
    """What a process holds."""

    def __init__(self, pid: int) -> None:
        process = Path(f"/proc/{pid}")
        self.threads = len(list((process / "task").iterdir()))
        self.descriptors = len(list((process / "fd").iterdir()))
        status = (process / "status").read_text()
        self.memory_kb = int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


def _send_garbage(hub: Hub, chance: random.Random) -> None:
    """700 datagrams that mean nothing, or almost something."""
    host, _, port = hub.udp.rpartition(":")
    scraps = [
        b"",
        b"{",
        b"[]",
        b'{"type":"ACK"}',
        b'{"type":"SUBSCRIBE","user_id":"x"}',
        b"\xff\xfe",
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(700):
            scrap = chance.choice([*scraps, chance.randbytes(chance.randrange(1_400))])
            sock.sendto(scrap, (host, int(port)))


def _post_garbage(hub: Hub, chance: random.Random) -> None:
    """170 POSTs that are refused, each for its own reason."""
    url = hub.env["UDP_SERVER_URL"] + "/notify/"
    bodies = [b"", b"{", b"null", b'{"manga_id":1}', b'{"manga_id":"1","title":"T"}', b"[" * 60_000]
    with requests.Session() as session:
        for _ in range(170):
            answer = session.post(
                url + chance.choice(("new-manga", "new-chapter", "batch", "no-such-thing")),
                data=chance.choice([*bodies, chance.randbytes(500)]),
                headers={"Content-Type": chance.choice(("application/json", "text/plain"))},
                timeout=10,
            )
            assert 400 <= answer.status_code < 500
