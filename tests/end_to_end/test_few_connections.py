"""A role that may open few connections: fewer workers and slower answers, and nothing fails."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

import sql
from mangadex_sim import Simulator
from tests.support.databases import limited_role
from tests.support.hub import rows
from tests.support.pooler import needs_pooler, pooler


def test_a_run_has_as_many_workers_as_connections_and_says_so_once(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
    connection: sql.Connection,
) -> None:
    with limited_role(connection, database_url, 5) as url:
        hub = make_hub(simulator(titles=60, rate=0, latency_s=0.02), url)
        hub.batch("initial-sync", "--count", "40")
        done = hub.run_program("batch", "chapter-check", "--all", "--json", env=hub.env)
        assert (done.code, done.json["manga_seen"]) == (0, 40), done.stderr
        lines = [line for line in done.stderr.splitlines() if " WARNING " in line]
        assert len(lines) == 1 and "no connection for more workers" in lines[0]
        found = hub.run_program("batch", "doctor", "--json", env=hub.env)
        check = found.json["checks"]["connections"]
        assert (check["severity"], "MANGA_SYNC_WORKERS to 3" in check["cure"]) == ("warn", True)


@needs_pooler
def test_a_run_has_as_many_workers_as_a_pooler_has_sessions(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
    home: Path,
) -> None:
    with pooler(database_url, home, pool_mode="session", default_pool_size=4) as url:
        hub = make_hub(simulator(titles=60, rate=0, latency_s=0.02), url, MANGA_SYNC_WORKERS="3")
        hub.batch("initial-sync", "--count", "40")
        done = hub.run_program("batch", "chapter-check", "--all", "--json", env=hub.env)
    assert (done.code, done.json["manga_seen"]) == (0, 40), done.stderr
    assert "no connection for more workers" in done.stderr


def test_posts_wait_for_one_another_where_there_are_few_connections(
    make_hub: Callable[..., Any],
    simulator: Callable[..., Simulator],
    database_url: str,
    connection: sql.Connection,
) -> None:
    connection.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    with limited_role(connection, database_url, 3) as url:
        hub = make_hub(simulator(titles=1, rate=0), url)
        server = hub.serve()

        def post(number: int) -> int:
            body = {"manga_id": 1, "title": "T", "event_id": f"{number}"}
            address = hub.env["UDP_SERVER_URL"] + "/notify/new-manga"
            return requests.post(address, json=body, timeout=30).status_code

        with ThreadPoolExecutor(16) as threads:
            assert set(threads.map(post, range(200))) == {202}
        server.terminate()
        stderr = server.communicate(timeout=12)[1]
    assert rows(database_url, "SELECT count(*) FROM notification_receipts") == [(200,)]
    assert stderr.count("no connection for more requests") == 1
    assert "unavailable" not in stderr
