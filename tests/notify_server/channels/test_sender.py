"""The sender: the real program, a real database, and servers that fail, hang and come back."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from psycopg.types.json import Jsonb

import sql
from notify_server.channels import sender as sender_module
from notify_server.store import receipts
from readers.channels import store
from readers.channels.addresses import TRUSTED, parse_address
from readers.channels.options import Digest, Options, next_digest
from readers.keys import CHANNEL
from readers.users import User, find_user
from tests.notify_server.channels.conftest import ANYWHERE
from tests.support.channel_servers import Answer, ChannelServer, Request
from tests.support.programs import kill
from tests.support.raw_server import RawServer
from tests.support.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.slow
PROGRAM, HASTY = "notify_server", "tests.support.hasty_channels"


class Scene:
    """A reader with channels, and a sender."""

    def __init__(self, connection: Any, user: User, start: Callable[..., Any], env: Any) -> None:
        self.connection = connection
        self.user = user
        self._start = start
        self.env = env | {"NOTIFY_CHANNELS_PRIVATE": "on"}

    def add(self, text: str, options: Options | None = None, is_trusted: bool = False) -> int:
        """Add a channel and return its id."""
        address = parse_address(text, TRUSTED if is_trusted else ANYWHERE)
        options = options or Options()
        return store.add_channel(self.connection, self.user, address, options, is_trusted)[0].id

    def hook(self, server: ChannelServer, path: str = "x", options: Options | None = None) -> int:
        return self.add(f"webhook:http://{server.address}/{path}", options)

    def news(self, *numbers: int, kind: str = "NEW_CHAPTER", age: str = "0 s") -> None:
        with self.connection.transaction():
            for number in numbers:
                self.connection.execute(
                    "INSERT INTO notifications (user_id, type, manga_id, title, message, data,"
                    " event_id, read, created_at) VALUES (%s, %s, 1, 'T', %s, %s, %s, false,"
                    " now() - %s::interval)",
                    [self.user.id, kind, f"New chapter {number} available",
                     Jsonb({"data": {"chapter": number}, "changes": []}), f"e{kind}{number}", age],
                )  # fmt: skip
            self.connection.execute("SELECT pg_notify(%s, '{}')", [CHANNEL])

    def start(self, module: str = PROGRAM) -> subprocess.Popen[str]:
        process: subprocess.Popen[str] = self._start(module, "channels", env=self.env)
        return process

    @contextmanager
    def running(self, module: str = PROGRAM) -> Iterator[subprocess.Popen[str]]:
        process = self.start(module)
        yield process
        kill(process)

    def channel(self, id: int) -> store.Channel:
        return store.find_channel(self.connection, self.user, str(id))

    def is_sending(self) -> bool:
        query = "SELECT count(*) FROM channel_deliveries WHERE sending_id IS NOT NULL"
        return bool(self.connection.execute(query).fetchone()[0])

    def set(self, id: int, assignment: str) -> None:
        query = f"UPDATE channel_deliveries SET {assignment} WHERE channel_id = %s"
        self.connection.execute(query.encode(), [id])


@pytest.fixture
def scene(
    connection: Any, make_user: Any, make_manga: Any, settings: Any, start_program: Any
) -> Scene:
    make_manga("T")
    user = find_user(connection, make_user("ine"))
    return Scene(connection, user, start_program, settings)


def numbers(requests: list[Request]) -> list[int]:
    return [request.json["data"]["chapter"] for request in requests]


def ids(requests: list[Request]) -> list[str]:
    return [request.headers["webhook-id"] for request in requests]


# --- what goes when ------------------------------------------------------------------------------


def test_what_is_stored_is_sent_to_each_channel_in_order_and_stays_unread(
    scene: Scene, server: ChannelServer
) -> None:
    one = scene.hook(server, "one")
    scene.hook(server, "two", Options(only=["NEW_MANGA"]))
    with scene.running():
        scene.news(1)
        assert numbers(server.take(1)) == [1]
        scene.news(2, 3, 4)
        assert numbers(server.take(3)) == [2, 3, 4]
        scene.news(5, kind="NEW_MANGA")
        assert {request.path for request in server.take(2)} == {"/one", "/two"}
        wait_until(lambda: scene.channel(one).last_success_at)
    rows = scene.connection.execute("SELECT DISTINCT read, delivered_at FROM notifications")
    assert rows.fetchall() == [(False, None)]
    assert server.requests == []


def test_what_has_waited_two_minutes_goes_as_one_message(
    scene: Scene, server: ChannelServer
) -> None:
    scene.hook(server)
    scene.news(1, 2, 3, age="3 min")
    scene.news(4)
    with scene.running():
        (request,) = server.take(1)
        found = [each["data"]["chapter"] for each in request.json["notifications"]]
        assert found == [1, 2, 3, 4]
        scene.news(5)
        assert numbers(server.take(1)) == [5]


def test_a_digest_is_sent_at_its_time_and_is_due_again_the_next_day(
    scene: Scene, server: ChannelServer
) -> None:
    digest = Digest(next_digest_time(), "UTC")
    id = scene.hook(server, options=Options(digest=digest))
    scene.news(1, 2)
    with scene.running():
        other = scene.hook(server, "other")
        scene.news(3)
        assert [request.path for request in server.take(1)] == ["/other"]
        scene.set(id, "next_attempt_at = now()")
        (request,) = server.take(1)
        assert [each["data"]["chapter"] for each in request.json["notifications"]] == [1, 2, 3]
        wait_until(lambda: scene.channel(id).last_success_at)
        found = scene.channel(id)
        assert found.last_success_at is not None
        assert found.next_attempt_at == next_digest(digest, found.last_success_at)
        assert scene.channel(other).next_attempt_at is None


def next_digest_time() -> Any:
    """A time of day that is far from now."""
    return (datetime.now(UTC) + timedelta(hours=12)).time().replace(second=0, microsecond=0)


def test_who_stores_late_is_sent_too(
    scene: Scene, server: ChannelServer, database_url: str
) -> None:
    scene.hook(server)
    with scene.running(), sql.connect(database_url) as other:
        slow = Scene(other, scene.user, scene.start, {})
        with other.transaction():
            slow.news(1)
            scene.news(2)
            scene.news(3, kind="NEW_MANGA")
        assert numbers(server.take(3)) == [1, 2, 3]


def test_what_is_trusted_is_sent_whatever_readers_may_add(
    scene: Scene, server: ChannelServer
) -> None:
    scene.env |= {"NOTIFY_CHANNELS": "off", "NOTIFY_CHANNELS_PRIVATE": "off"}
    scene.add(f"json://{server.address}/x", is_trusted=True)
    other = scene.hook(server)
    with scene.running():
        scene.news(1)
        (request,) = server.take(1)
        assert request.json["title"] == "T: chapter 1"
        wait_until(lambda: scene.channel(other).last_error)
    assert "switched off" in str(scene.channel(other).last_error)
    assert server.requests == []


def test_a_test_is_sent_on_demand_and_says_how_it_went(scene: Scene, server: ChannelServer) -> None:
    id = scene.hook(server)
    server.answer(Answer(401))
    with scene.running():
        store.request_test(scene.connection, scene.channel(id))
        assert server.take(1)[0].json["type"] == "TEST"
        wait_until(lambda: scene.channel(id).tested_at)
        assert "credentials" in str(scene.channel(id).test_error)
        store.request_test(scene.connection, scene.channel(id))
        assert len(server.take(1)) == 1
        wait_until(lambda: scene.channel(id).test_error is None)


# --- what fails ----------------------------------------------------------------------------------


def test_what_fails_is_repeated_with_the_same_id_before_what_follows(
    scene: Scene, server: ChannelServer
) -> None:
    id = scene.hook(server)
    server.answer(Answer(500), Answer(503))
    with scene.running(HASTY):
        scene.news(1)
        scene.news(2)
        requests = server.take(4)
        assert numbers(requests) == [1, 1, 1, 2]
        assert len(set(ids(requests))) == 2
        wait_until(lambda: scene.channel(id).last_error is None)
    assert scene.channel(id).failing_since is None


def test_a_server_that_asks_to_wait_is_asked_again_when_it_said(
    scene: Scene, server: ChannelServer
) -> None:
    """Without that it would be half a minute."""
    scene.hook(server)
    server.answer(Answer(429, b"", {"Retry-After": "2"}))
    with scene.running():
        scene.news(1)
        server.take(1)
        started = monotonic()
        assert numbers(server.take(1)) == [1]
        assert 1.5 < monotonic() - started < 20


def hang(server: RawServer, connection: Any) -> None:
    server.stopped.wait(60)


@contextmanager
def hanging_server() -> Iterator[RawServer]:
    server = RawServer(hang)
    try:
        yield server
    finally:
        server.close()


def test_channels_that_hang_delay_no_other(scene: Scene, server: ChannelServer) -> None:
    with hanging_server() as hanging, scene.running():
        for number in range(15):
            scene.add(f"ntfy://127.0.0.1:{hanging.port}/{number}")
        scene.hook(server)
        started = monotonic()
        scene.news(1)
        server.take(1)
        scene.news(2, 3)
        server.take(2)
        assert monotonic() - started < 10  # of the 15 that each of the others has


def test_a_channel_that_fails_for_long_is_paused_and_its_reader_told(
    scene: Scene, server: ChannelServer
) -> None:
    id = scene.hook(server, "s3cret")
    server.answer(*[Answer(404)] * 100)
    with scene.running(HASTY):
        scene.news(1)
        wait_until(lambda: scene.channel(id).paused_at)
    rows = scene.connection.execute(
        "SELECT event_id, message, read FROM notifications WHERE type = 'CHANNEL_PAUSED'"
    ).fetchall()
    ((event_id, message, read),) = rows
    assert f"webhook:http://{server.address}/… has failed for 3 days and is paused" in message
    assert "does not know this address (HTTP 404)" in message and "s3cret" not in message
    (portion,) = receipts.find_portions(scene.connection, event_id, None)
    (event,) = receipts.load_portion(scene.connection, portion)
    assert read is False and len(event.recipients) == 1


def test_a_channel_that_is_resumed_is_sent_what_has_waited(
    scene: Scene, server: ChannelServer
) -> None:
    id = scene.hook(server)
    store.pause_channel(scene.connection, scene.channel(id))
    with scene.running():
        scene.news(1, age="1 h")
        scene.news(2)
        other = scene.hook(server, "other")
        scene.news(3)
        assert [request.path for request in server.take(1)] == ["/other"]
        store.resume_channel(scene.connection, scene.channel(id))
        (request,) = server.take(1)
        assert [each["data"]["chapter"] for each in request.json["notifications"]] == [1, 2, 3]
    assert other != id


def test_a_message_whose_title_is_gone_holds_back_nothing(
    scene: Scene, server: ChannelServer
) -> None:
    scene.hook(server)
    server.answer(Answer(500))
    with scene.running(HASTY):
        scene.news(1)
        server.take(1)
        scene.connection.execute("DELETE FROM notifications")
        scene.news(2)
        requests = server.take(1)
        while numbers(requests) != [2]:  # the first may have been tried again meanwhile
            requests = server.take(1)


# --- kills, and others ---------------------------------------------------------------------------


def test_what_a_killed_sender_had_under_way_is_sent_once_more_with_the_same_id(
    scene: Scene, server: ChannelServer
) -> None:
    id = scene.hook(server)
    with hanging_server() as hanging:
        address = f"webhook:http://127.0.0.1:{hanging.port}/x"
        change = "UPDATE reader_channels SET address = %s WHERE id = %s"
        scene.connection.execute(change, [address, id])
        first = scene.start()
        scene.news(1)
        wait_until(lambda: hanging.connections)
        kill(first)
    scene.news(2)
    address = f"webhook:http://{server.address}/x"
    scene.connection.execute(change, [address, id])
    with scene.running():
        requests = server.take(2)
        assert numbers(requests) == [1, 2]
        assert ids(requests)[0].startswith(f"msg_{id}_")


def test_kills_lose_nothing_and_repeat_at_most_one_message_each(
    scene: Scene, server: ChannelServer
) -> None:
    kills, count = 4, 60
    scene.hook(server)
    scene.news(*range(count))
    seen: list[Request] = []
    for _ in range(kills):
        process = scene.start()
        seen += server.take(7)
        kill(process)
    with scene.running():
        while count - 1 not in numbers(seen):
            seen += server.take(1)
    seen += server.requests
    found = numbers(seen)
    assert list(dict.fromkeys(found)) == list(range(count))
    assert found == sorted(found) and len(found) <= count + kills
    assert len(set(ids(seen))) == count


def test_two_senders_send_once_and_one_takes_over_from_the_other(
    scene: Scene, server: ChannelServer
) -> None:
    scene.hook(server)
    first = scene.start()
    scene.news(1)
    server.take(1)
    with scene.running():
        wait_until(lambda: sessions(scene) == 2)
        scene.news(*range(2, 30))
        assert numbers(server.take(28)) == list(range(2, 30))
        wait_until(lambda: not scene.is_sending())
        kill(first)
        scene.news(30)
        assert numbers(server.take(1)) == [30]
    assert server.requests == []


def sessions(scene: Scene) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mangahub-channels'"
    return int(scene.connection.execute(query).fetchone()[0])


def test_it_ends_in_time_with_what_is_under_way_finished(
    scene: Scene, server: ChannelServer
) -> None:
    hook = scene.hook(server)
    with hanging_server() as hanging:
        scene.add(f"ntfy://127.0.0.1:{hanging.port}/x")
        process = scene.start()
        scene.news(1)
        server.take(1)
        wait_until(lambda: hanging.connections)
        started = monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert monotonic() - started < 10
    wait_until(lambda: scene.channel(hook).last_success_at)
    kill(process)


def test_it_goes_on_after_an_outage_of_the_database(scene: Scene, server: ChannelServer) -> None:
    scene.hook(server)
    with scene.running():
        scene.news(1)
        server.take(1)
        for number in range(2, 5):
            scene.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'mangahub-channels'"
            )
            scene.news(number)
            assert numbers(server.take(1)) == [number]


def test_what_cannot_be_recorded_is_not_sent_again_and_again(
    scene: Scene, server: ChannelServer
) -> None:
    id = scene.hook(server)
    scene.connection.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END$$"
    )
    scene.connection.execute(
        "CREATE TRIGGER full_disk BEFORE UPDATE OF last_id ON channel_deliveries"
        " FOR EACH ROW EXECUTE FUNCTION full_disk()"
    )
    with scene.running() as process:
        scene.news(1)
        assert numbers(server.take(1)) == [1]
        assert process.stderr is not None
        while "The database is unavailable" not in process.stderr.readline():
            pass
        wait_until(lambda: sessions(scene) == 1)
        scene.connection.execute("DROP TRIGGER full_disk ON channel_deliveries")
        wait_until(lambda: scene.channel(id).last_success_at)
        scene.news(2)
        assert numbers(server.take(1)) == [2]


def test_no_secret_is_logged_or_stands_in_a_list_of_processes(
    scene: Scene, server: ChannelServer
) -> None:
    scene.hook(server, "s3cret?s3cret")
    scene.add(f"ntfy://s3cret:s3cret@{server.address}/s3cret")
    scene.add("ntfy://s3cret:s3cret@127.0.0.1:1/s3cret")
    scene.env["LOG_LEVEL"] = "DEBUG"
    process = scene.start(HASTY)
    server.answer(Answer(500, b"s3cret"))
    scene.news(1)
    server.take(3)
    lists = [path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline") if is_there(path)]
    assert not any("s3cret" in text for text in lists)
    process.send_signal(signal.SIGTERM)
    log = process.communicate(timeout=PATIENCE_S)[1]
    assert "s3cret" not in log and "Not sent" in log


def is_there(path: Path) -> bool:
    return os.access(path, os.R_OK)


def test_the_time_to_stop_is_below_that_of_a_service() -> None:
    assert sender_module.STOP_S < 10
