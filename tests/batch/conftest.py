"""Fixtures for the batch: stand-in APIs, and the real program against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batch.mangadex.http import Session
from mangadex_sim import Simulator
from tests.support.raw_server import Departures, Handler, RawServer


@pytest.fixture
def batch(run_batch: Callable[..., Any], database_url: str) -> Callable[..., Any]:
    """`batch(sim, "initial-sync", "--json", WORKERS="2")` → Finished.

    Keywords in capitals are settings without their MANGA_SYNC_; others go to the runner.
    """

    def run(sim: Simulator, *args: str, timeout: float = 60, **settings: str) -> Any:
        env = batch_environment(sim, database_url, **settings)
        return run_batch(*args, env=env, timeout=timeout)

    return run


def batch_environment(sim: Simulator, database_url: str, **settings: str) -> dict[str, str]:
    """What the batch needs to know; a fast rate unless a test says otherwise."""
    named = {f"MANGA_SYNC_{name}": value for name, value in settings.items()}
    return {
        "DATABASE_URL": database_url,
        "MANGADEX_API_URL": sim.url,
        "MANGA_SYNC_RATE_PER_SECOND": "200",
        # Nothing listens there: events stay owed.
        "UDP_SERVER_URL": "http://127.0.0.1:9",
    } | named


@pytest.fixture
def environment(database_url: str) -> Callable[..., dict[str, str]]:
    """`environment(sim, WORKERS="2")` → variables for a program that a test starts itself."""

    def build(sim: Simulator, **settings: str) -> dict[str, str]:
        return batch_environment(sim, database_url, **settings)

    return build


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """`serve(handler)` → a RawServer; closed after the test, and after its clients."""
    servers: list[RawServer] = []

    def start(handler: Handler, host: str = "127.0.0.1") -> RawServer:
        servers.append(RawServer(handler, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def departures() -> Departures:
    return Departures()


@pytest.fixture
def open_session(
    serve: object, departures: Departures, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Session]]:
    """`open_session(url, key=None)`; no proxy of this machine's counts."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    sessions: list[Session] = []

    def start(url: str, key: str | None = None) -> Session:
        sessions.append(Session(url, key, departures))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()
