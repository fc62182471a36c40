"""The outbox and its delivery, against a receiver with prescribed answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest

from batch.delivery import relay
from batch.delivery.relay import DeliveryCounts, Relay
from batch.errors import Stopped
from batch.models import OutboxEvent
from batch.stop import SignalStop
from batch.store import outbox
from sql.state import backlog

Connection = psycopg.Connection[tuple[Any, ...]]
Json = Any


class Receiver:
    """A notification server in a thread.

    Attributes:
        answer: what it makes of a list of events: a status, and the status of each event.
        bodies: the lists of events that it was sent.
    """

    def __init__(self) -> None:
        self.bodies: list[list[Json]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answer: Callable[[list[Json]], tuple[int, Json]] = lambda events: (202, {})
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                events = json.loads(body)["events"]
                receiver.bodies.append(events)
                receiver.headers.append(dict(self.headers.items()))
                receiver.paths.append(self.path)
                receiver.hold.wait(10)
                status, answer = receiver.answer(events)
                text = json.dumps(answer).encode()
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def accepted(self) -> list[str]:
        return [event["event_id"] for body in self.bodies for event in body]

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def stop() -> Iterator[SignalStop]:
    made = SignalStop()
    yield made
    made.close()


@pytest.fixture
def deliver(connection: Connection, stop: SignalStop, receiver: Receiver) -> Iterator[Any]:
    """`deliver()`, respecting postponements; `deliver(everything=True)`, `url=`."""
    made: list[Relay] = []

    def run(*, everything: bool = False, url: str = "", key: str | None = None) -> DeliveryCounts:
        made.append(Relay(url or receiver.url, key, stop))
        return made[-1].deliver(connection, everything=everything)

    yield run
    for one in made:
        one.close()


@pytest.fixture
def owe(connection: Connection) -> Callable[..., list[str]]:
    """`owe(3)` → the keys of three events of one title that were written to the outbox."""

    def add(count: int = 1, prefix: str = "key", **payload: object) -> list[str]:
        row = connection.execute(
            "INSERT INTO manga (title) VALUES ('A Title') RETURNING id"
        ).fetchone()
        assert row
        body = {"manga_id": row[0], "title": "A Title"} | payload
        keys = [f"{prefix}-{n}" for n in range(count)]
        outbox.add_events(connection, [OutboxEvent("new-manga", row[0], key, body) for key in keys])
        return keys

    return add


def each_status(*statuses: int) -> Callable[[list[Json]], tuple[int, Json]]:
    return lambda events: (207, {"results": [{"status": s, "error": "why"} for s in statuses]})


def rows(connection: Connection, columns: str) -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM notification_events ORDER BY id".encode()
    return connection.execute(query).fetchall()


# --- the outbox ----------------------------------------------------------------------------------


def test_the_same_news_is_written_once(connection: Connection, owe: Any) -> None:
    owe(2)
    owe(3)
    assert [key for (key,) in rows(connection, "dedup_key")] == ["key-0", "key-1", "key-2"]


def test_events_are_written_with_the_rows_of_their_transaction_or_not_at_all(
    connection: Connection, owe: Any
) -> None:
    with pytest.raises(ZeroDivisionError), connection.transaction():
        owe(2)
        raise ZeroDivisionError
    assert backlog.read_backlog(connection).count == 0


def test_events_keep_the_order_in_which_they_were_written(connection: Connection, owe: Any) -> None:
    keys = owe(300)
    owed = outbox.read_owed(connection, 0, 1000, everything=False)
    assert [event.dedup_key for event in owed] == keys


# --- delivery ------------------------------------------------------------------------------------


def test_events_are_posted_in_order_with_their_key_as_event_id(
    connection: Connection, owe: Any, deliver: Any, receiver: Receiver
) -> None:
    keys = owe(3, chapter=1.5)
    assert deliver() == DeliveryCounts(accepted=3)
    assert receiver.accepted == keys and receiver.paths == ["/notify/batch"]
    event = receiver.bodies[0][0]
    assert {k: v for k, v in event.items() if k != "manga_id"} == {
        "type": "new-manga",
        "event_id": "key-0",
        "title": "A Title",
        "chapter": 1.5,
    }
    assert "Authorization" not in receiver.headers[0]
    assert rows(connection, "accepted_at IS NULL, attempts, last_error")[0] == (False, 1, None)


def test_what_was_accepted_is_never_sent_again(owe: Any, deliver: Any, receiver: Receiver) -> None:
    owe(3)
    deliver()
    assert deliver(everything=True) == DeliveryCounts()
    assert len(receiver.bodies) == 1


def test_many_events_go_in_batches_of_500(owe: Any, deliver: Any, receiver: Receiver) -> None:
    keys = owe(1200)
    assert deliver().accepted == 1200
    assert [len(body) for body in receiver.bodies] == [500, 500, 200]
    assert receiver.accepted == keys


def test_a_batch_stays_below_the_size_that_is_taken(
    owe: Any, deliver: Any, receiver: Receiver
) -> None:
    owe(40, chapters=list(range(10_000)))
    assert deliver().accepted == 40
    assert max(len(json.dumps(body, separators=(",", ":"))) for body in receiver.bodies) < 1 << 20


def test_the_key_is_sent_as_a_bearer_token(owe: Any, deliver: Any, receiver: Receiver) -> None:
    owe()
    deliver(key="secret")
    assert receiver.headers[0]["Authorization"] == "Bearer secret"


def test_neither_a_proxy_nor_a_netrc_of_the_environment_has_a_say(
    owe: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    owe()
    assert deliver().accepted == 1


def test_each_event_of_a_207_has_its_own_fate(
    connection: Connection, owe: Any, deliver: Any, receiver: Receiver
) -> None:
    owe(4)
    receiver.answer = each_status(202, 404, 400, 202)
    assert deliver() == DeliveryCounts(accepted=2, rejected=2)
    assert rows(connection, "accepted_at IS NULL, last_error") == [
        (False, None),
        (True, "404: why"),
        (True, "400: why"),
        (False, None),
    ]


# --- order ---------------------------------------------------------------------------------------


@pytest.fixture
def add(connection: Connection) -> Callable[[str], None]:
    """`add("A8")` → an event of title A."""

    def add(key: str) -> None:
        row = connection.execute(
            "INSERT INTO manga (title, slug) VALUES (%(title)s, %(title)s)"
            " ON CONFLICT (slug) DO UPDATE SET title = excluded.title RETURNING id",
            {"title": key[0]},
        ).fetchone()
        assert row
        body = {"manga_id": row[0], "title": key[0]}
        outbox.add_events(connection, [OutboxEvent("new-chapter", row[0], key, body)])

    return add


def test_an_event_that_is_due_brings_along_what_its_title_owes(
    add: Any, deliver: Any, receiver: Receiver
) -> None:
    add("A8")
    receiver.answer = lambda events: (503, {})
    assert deliver() == DeliveryCounts(postponed=1, is_down=True)
    receiver.bodies.clear()
    receiver.answer = lambda events: (202, {})
    add("A9")
    assert deliver() == DeliveryCounts(accepted=2)
    assert receiver.accepted == ["A8", "A9"]


@pytest.mark.parametrize("status", [500, 424, 403])
def test_an_event_that_stays_owed_holds_back_only_its_own_title(
    status: int, add: Any, deliver: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MAX_EVENTS", 1)
    for key in ("A8", "B1", "A9"):
        add(key)
    receiver.answer = lambda events: (
        each_status(status)(events) if events[0]["event_id"] == "A8" else (202, {})
    )
    assert deliver() == DeliveryCounts(accepted=1, postponed=2)
    assert receiver.accepted == ["A8", "B1"]
    receiver.bodies.clear()
    receiver.answer = lambda events: (202, {})
    assert deliver(everything=True) == DeliveryCounts(accepted=2)
    assert receiver.accepted == ["A8", "A9"]


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_an_event_that_was_rejected_holds_back_nothing_and_is_tried_again_after_a_day(
    status: int, connection: Connection, add: Any, deliver: Any, receiver: Receiver
) -> None:
    add("A8")
    receiver.answer = each_status(status)
    assert deliver() == DeliveryCounts(rejected=1)
    receiver.answer = lambda events: (202, {})
    add("A9")
    assert deliver(everything=True) == DeliveryCounts(accepted=1)
    left = backlog.read_backlog(connection)
    assert (left.count, left.rejected) == (0, 1)
    (rejected,) = backlog.read_rejected(connection, 9)
    assert (rejected.event_id, rejected.title) == ("A8", "A")
    assert rejected.error == f"{status}: why"
    connection.execute("UPDATE notification_events SET next_attempt_at = now()")
    assert deliver() == DeliveryCounts()
    assert deliver(everything=True) == DeliveryCounts(accepted=1)
    assert backlog.read_rejected(connection, 9) == []


def test_what_follows_in_the_other_half_of_a_body_is_held_back_too(
    add: Any, deliver: Any, receiver: Receiver
) -> None:
    for key in ("A8", "B1", "A9", "C1"):
        add(key)

    def answer(events: list[Json]) -> tuple[int, Json]:
        keys = [event["event_id"] for event in events]
        if "C1" in keys:
            return 400, {}
        return each_status(*(500 if key == "A8" else 202 for key in keys))(events)

    receiver.answer = answer
    assert deliver() == DeliveryCounts(accepted=1, postponed=2, rejected=1)


# --- failures ------------------------------------------------------------------------------------


def test_a_database_that_goes_away_midway_postpones_the_rest(
    connection: Connection, owe: Any, deliver: Any, receiver: Receiver
) -> None:
    keys = owe(600)
    receiver.answer = lambda events: each_status(*[202] * 10, *[503] * (len(events) - 10))(events)
    assert deliver() == DeliveryCounts(accepted=10, postponed=490, is_down=True)
    receiver.answer = lambda events: (202, {})
    assert deliver(everything=True).accepted == 590
    assert set(receiver.accepted) == set(keys)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((503, {"error": "database away"}), id="503"),
        pytest.param((500, {}), id="500"),
        pytest.param((401, {"error": "key"}), id="401"),
        pytest.param((404, {"error": "unknown route"}), id="404"),
        pytest.param((200, {}), id="a 200 is not a promise"),
        pytest.param((302, {}), id="a redirect"),
        pytest.param((207, {"results": []}), id="a 207 that says nothing"),
        pytest.param((207, []), id="a 207 of another shape"),
        pytest.param((429, {}), id="429"),
    ],
)
def test_a_failing_server_is_tried_once_and_all_stays_owed(
    answer: tuple[int, Json], connection: Connection, owe: Any, deliver: Any, receiver: Receiver
) -> None:
    owe(700)
    receiver.answer = lambda events: answer
    assert deliver() == DeliveryCounts(postponed=500, is_down=True)
    assert len(receiver.bodies) == 1
    assert backlog.read_backlog(connection).count == 700


def test_a_server_that_is_down_costs_one_attempt(
    connection: Connection, owe: Any, deliver: Any
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        owe(700)
        assert deliver(url=url) == DeliveryCounts(postponed=500, is_down=True)
    assert backlog.read_backlog(connection).count == 700
    (error,) = {text for (text,) in rows(connection, "last_error") if text}
    assert "Connection refused" in error and not error.startswith("503")


def test_a_body_that_is_refused_as_a_whole_is_halved_until_the_culprit_is_alone(
    connection: Connection, owe: Any, deliver: Any, receiver: Receiver
) -> None:
    owe(40)
    receiver.answer = lambda events: (
        (400, {"error": "bad"}) if any(e["event_id"] == "key-17" for e in events) else (202, {})
    )
    assert deliver() == DeliveryCounts(accepted=39, rejected=1)
    assert [event.event_id for event in backlog.read_rejected(connection, 9)] == ["key-17"]
    assert len(receiver.bodies) < 15


def test_attempts_grow_apart_from_a_minute_to_an_hour(
    connection: Connection, owe: Any, deliver: Any, receiver: Receiver
) -> None:
    owe()
    receiver.answer = each_status(500)
    waits = []
    for _ in range(9):
        deliver(everything=True)
        ((wait,),) = rows(connection, "next_attempt_at - now()")
        waits.append(wait / timedelta(minutes=1))
        assert deliver() == DeliveryCounts()
    assert 0.7 < waits[0] < 1.3 and 1.5 < waits[1] < 2.5
    assert all(47 < wait < 73 for wait in waits[6:])
    assert rows(connection, "attempts") == [(9,)]


def test_the_wait_does_not_overflow_after_years() -> None:
    assert relay.delay_after(1_000_000) <= timedelta(hours=1.2)


def test_an_answer_that_never_comes_ends_by_itself(
    owe: Any, deliver: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "ONE_EVENT_TIMEOUT_S", 0.2)
    owe()
    receiver.hold.clear()
    assert deliver() == DeliveryCounts(postponed=1, is_down=True)


def test_a_stop_ends_the_wait_for_an_answer_and_the_event_stays_owed(
    connection: Connection, owe: Any, deliver: Any, receiver: Receiver, stop: SignalStop
) -> None:
    owe(2)
    receiver.hold.clear()
    receiver.answer = lambda events: (202, {})

    def ask_to_stop() -> None:
        while not receiver.bodies:
            threading.Event().wait(0.01)
        stop._handle(15, None)

    helper = threading.Thread(target=ask_to_stop)
    helper.start()
    with pytest.raises(Stopped):
        deliver()
    helper.join()
    receiver.hold.set()
    assert backlog.read_backlog(connection).count == 2


def test_a_delivery_meanwhile_is_not_undone_by_a_failure(connection: Connection, owe: Any) -> None:
    owe()
    (event,) = outbox.read_owed(connection, 0, 9, everything=False)
    outbox.mark_accepted(connection, [event.id])
    outbox.note_failures(connection, [outbox.Attempt(event.id, "late", timedelta(hours=1))])
    assert rows(connection, "accepted_at IS NOT NULL, last_error") == [(True, None)]
