"""The database goes away and comes back: a real server of our own is stopped and started."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest

import sql
from sql.connections import Database
from tests.support.databases import OwnDatabase
from tests.support.waiting import wait_until

CUT_OFF = (
    "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
    "WHERE application_name = 'mangahub-notify'"
)

WAITING = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE application_name = 'mangahub-notify' AND wait_event_type = 'Lock'"
)


@pytest.fixture
def settings(own_database: OwnDatabase) -> dict[str, str]:
    return {
        "DATABASE_URL": own_database.url,
        "NOTIFY_SECRET": "a secret for tests, long enough",
        "UDP_PORT": "0",
        "UDP_HTTP_PORT": "0",
    }


def test_without_database_nothing_is_accepted_and_all_comes_back_by_itself(
    own_database: OwnDatabase, start_server: Any, make_client: Any
) -> None:
    user = str(uuid.uuid4())
    own_database.execute("INSERT INTO users (id, username) VALUES (%s, 'u')", user)
    own_database.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    server = start_server()
    client = make_client(server, user)
    client.subscribe()
    event = {"type": "new-manga", "manga_id": 1, "title": "T"}
    assert server.post("new-manga", event).status_code == 202
    unacknowledged = client.receive_type("NEW_MANGA")["id"]
    request = client.request(client.cookie())

    own_database.stop()
    for kind, body in (("new-manga", event), ("batch", {"events": [event, event]})):
        started = monotonic()
        answer = server.post(kind, {**body, "event_id": "lost"})
        assert answer.status_code == 503
        assert monotonic() - started < 8
        assert answer.json().keys() == {"error"}
    assert server.get("/readyz").status_code == 503
    assert server.get("/healthz").status_code == 200
    assert server.get("/api/notifications", params={"user_id": user}).status_code == 503
    client.ack(unacknowledged)  # is kept until it can be marked
    stranger = make_client(server, user)
    stranger.send(stranger.request(stranger.cookie()))
    assert stranger.is_silent(0.3)  # no answer: it asks again
    client.send(request)
    client.ping()
    assert client.receive()["type"] == "PONG"

    own_database.start()
    wait_until(lambda: server.get("/readyz").status_code == 200)
    wait_until(
        lambda: (
            own_database.execute("SELECT delivered_at IS NOT NULL FROM notifications") == [(True,)]
        )
    )
    assert server.post("new-manga", {**event, "event_id": "back"}).status_code == 202
    assert len(client.read(1)) == 1
    wait_until(lambda: stranger.subscribe()["type"] == "SUBSCRIBE")
    ids = own_database.execute("SELECT event_id FROM notification_receipts ORDER BY seq")
    assert [e for (e,) in ids][1:] == ["back"]


def test_the_server_starts_without_database_and_waits_for_it(
    own_database: OwnDatabase, start_program_server: Any
) -> None:
    own_database.stop()
    server = start_program_server()
    assert server.get("/healthz").status_code == 200
    assert server.get("/readyz").status_code == 503
    own_database.start()
    wait_until(lambda: server.get("/readyz").status_code == 200)


def test_connections_that_the_server_closed_are_not_used_again(
    own_database: OwnDatabase, start_server: Any
) -> None:
    own_database.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    server = start_server()
    for _ in range(10):
        assert server.post("new-manga", {"manga_id": 1, "title": "T"}).status_code == 202
        own_database.execute(CUT_OFF)


def test_a_database_that_is_read_only_is_not_ready_and_accepts_nothing(
    own_database: OwnDatabase, start_server: Any
) -> None:
    own_database.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    server = start_server()
    event = {"manga_id": 1, "title": "T"}
    assert server.post("new-manga", event).status_code == 202
    own_database.execute("ALTER DATABASE mangahub SET default_transaction_read_only = on")
    own_database.execute(CUT_OFF)
    wait_until(lambda: server.get("/readyz").status_code == 503)
    assert "accepts no writes" in server.get("/readyz").json()["error"]
    answer = server.post("new-manga", event)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "accepts no writes" in answer.json()["error"]
    assert server.get("/healthz").status_code == 200
    own_database.execute(
        "BEGIN READ WRITE; ALTER DATABASE mangahub RESET default_transaction_read_only; COMMIT"
    )
    wait_until(lambda: server.get("/readyz").status_code == 200)
    assert server.post("new-manga", event).status_code == 202


def test_a_role_without_rights_is_told_in_one_line_and_works_once_it_has_them(
    own_database: OwnDatabase, start_program_server: Any
) -> None:
    own_database.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    with sql.connect(own_database.url.replace("mangahub@", "postgres@")) as admin:
        admin.execute("CREATE ROLE guest LOGIN")
        server = start_program_server(
            {"DATABASE_URL": own_database.url.replace("mangahub@", "guest@")}
        )
        event = {"manga_id": 1, "title": "T"}
        assert server.get("/readyz").status_code == 503
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
        wait_until(lambda: "accepts no writes" in server.get("/readyz").json().get("error", ""))
        assert server.post("new-manga", event).status_code == 503
        admin.execute("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest")
        assert server.get("/readyz").status_code == 503
        admin.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO guest")
        wait_until(lambda: server.get("/readyz").status_code == 200)
        assert server.post("new-manga", event).status_code == 202
    server.process.terminate()
    stderr = server.process.communicate(timeout=12)[1]
    assert "Traceback" not in stderr
    (line,) = [line for line in stderr.splitlines() if " ERROR " in line]
    assert "accepts no writes" in line and "GRANT" in line


def test_health_is_answered_while_posts_wait_for_a_database_that_hangs(
    own_database: OwnDatabase, start_server: Any
) -> None:
    own_database.execute("INSERT INTO manga (id, slug, title) VALUES (1, 's', 'T')")
    server = start_server()
    event = {"manga_id": 1, "title": "T"}
    with ExitStack() as stack:
        lock = stack.enter_context(sql.connect(own_database.url))
        posts = stack.enter_context(ThreadPoolExecutor(24))
        lock.execute("BEGIN")
        lock.execute("LOCK TABLE notification_receipts IN ACCESS EXCLUSIVE MODE")
        waiting = [posts.submit(server.post, "new-manga", event) for _ in range(24)]
        wait_until(lambda: len(own_database.execute(WAITING)) == 8)
        pids = [pid for (pid,) in own_database.execute(WAITING)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        stack.callback(lock.execute, "ROLLBACK")
        for path in ("/healthz", "/metrics"):
            started = monotonic()
            assert server.get(path).status_code == 200
            assert monotonic() - started < 8
        assert not any(post.done() for post in waiting)
    assert {post.result().status_code for post in waiting} == {202}


def test_a_database_that_hangs_is_left_alone_after_a_while(
    own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sql.connections._MOST_LENT_S", 0.2)
    database = Database(own_database.url, 2)
    with database.connection() as connection:
        backend = connection.info.backend_pid
    cutter = threading.Timer(0.5, database.close_stuck)
    os.kill(backend, signal.SIGSTOP)
    cutter.start()
    try:
        with pytest.raises(sql.DatabaseDown):
            with database.connection() as connection:
                connection.execute("SELECT 1")
        with database.connection() as connection:
            assert connection.info.backend_pid != backend
    finally:
        os.kill(backend, signal.SIGCONT)
        cutter.join()
        database.close()
