"""One alert for a lasting failure and one for its end; a run never suffers from it."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture

import sql
from batch.reporting import alert_sender
from batch.reporting.alert_memory import Failure, Memory
from batch.reporting.alert_sender import Message
from batch.reporting.alerts import RunEnd, decide
from batch.stop import SignalStop
from mangadex_sim import Simulator

Simulators = Callable[..., Simulator]
Run = Callable[..., Any]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PATIENCE = 6 * HOUR
WORD = Message("MangaHub: chapter-feed keeps failing", "what to do", is_good=False)


class Receiver:
    """Takes what Apprise posts to `json://…`."""

    def __init__(self) -> None:
        self.words: list[dict[str, str]] = []
        words = self.words

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                words.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that closing waits for them
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self._server.server_port}/sesame"

    @property
    def titles(self) -> list[str]:
        return [word["title"] for word in self.words]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with closing(Receiver()) as started:
        yield started


@pytest.fixture
def stop() -> Iterator[SignalStop]:
    with closing(SignalStop()) as made:
        yield made


# --- deciding ----------------------------------------------------------------------------------


def ago(hours: float) -> datetime:
    return NOON - hours * HOUR


@pytest.mark.parametrize(
    ("before", "last_success", "after", "is_told"),
    [
        pytest.param(Failure(), ago(1), Failure(NOON), False, id="a first failure"),
        pytest.param(Failure(ago(1)), ago(2), Failure(ago(1)), False, id="not for long yet"),
        pytest.param(Failure(ago(5)), ago(6), Failure(ago(5), NOON), True, id="for long"),
        pytest.param(Failure(), ago(6), Failure(NOON), True, id="nothing ran for long"),
        pytest.param(Failure(ago(9), ago(3)), ago(9), None, False, id="reported already"),
        pytest.param(Failure(), None, Failure(NOON), False, id="never succeeded, fails first"),
        pytest.param(Failure(ago(6)), None, Failure(ago(6), NOON), True, id="never, for long"),
        pytest.param(Failure(), NOON + HOUR, Failure(NOON), False, id="a clock was set back"),
    ],
)
def test_a_failure_is_reported_once_it_has_lasted(
    before: Failure, last_success: datetime | None, after: Failure | None, is_told: bool
) -> None:
    outcome = RunEnd("chapter_feed", NOON, "the source is down")
    found, word = decide(outcome, before, last_success, PATIENCE)
    assert found.since == (after or before).since
    assert (word is not None, found.told_at is not None) == (is_told, is_told or after is None)


@pytest.mark.parametrize(
    ("sync_type", "hours", "is_told"),
    [
        ("chapter_feed", 25, True),
        ("metadata_refresh", 25, False),
        ("metadata_refresh", 30, True),
        ("chapter_check", 29, False),
        ("initial_sync", 2000, False),
    ],
)
def test_a_daily_workflow_is_not_late_before_its_day_is_over(
    sync_type: str, hours: float, is_told: bool
) -> None:
    _, word = decide(RunEnd(sync_type, NOON, "gone"), Failure(), ago(hours), PATIENCE)
    assert (word is not None) == is_told


def test_no_patience_tells_the_first_failure() -> None:
    _, word = decide(RunEnd("chapter_feed", NOON, "gone"), Failure(), None, timedelta(0))
    assert word is not None


@pytest.mark.parametrize(
    ("before", "is_told"),
    [(Failure(), False), (Failure(ago(1)), False), (Failure(ago(9), ago(3)), True)],
    ids=["it worked before", "never reported", "the operator knows"],
)
def test_success_is_reported_if_the_failure_was(before: Failure, is_told: bool) -> None:
    after, word = decide(RunEnd("chapter_feed", NOON, None), before, ago(9), PATIENCE)
    assert after == Failure()
    assert (word is not None) == is_told


def test_the_word_names_the_workflow_since_when_why_and_what_to_do() -> None:
    outcome = RunEnd("chapter_feed", NOON, "the source is down")
    _, word = decide(outcome, Failure(ago(5)), ago(7), PATIENCE)
    assert word is not None
    assert word.title == "MangaHub: chapter-feed keeps failing"
    for part in ("2026-01-31 05:00 UTC", "the source is down", "mangahub-batch doctor"):
        assert part in word.body


# --- remembering -------------------------------------------------------------------------------


def test_a_failure_is_remembered_in_the_database(connection: sql.Connection, home: Path) -> None:
    memory = Memory(connection, home, "chapter_feed")
    memory.write(Failure(ago(2), ago(1)))
    assert Memory(connection, home, "chapter_feed").read() == (Failure(ago(2), ago(1)), None)
    assert Memory(connection, home, "chapter_check").read() == (Failure(), None)
    memory.write(Failure())
    assert memory.read() == (Failure(), None)
    assert list(home.iterdir()) == []


def test_a_failure_without_the_database_is_known_when_that_is_back(
    connection: sql.Connection, home: Path
) -> None:
    Memory(None, home, "chapter_feed").write(Failure(ago(2), ago(1)))
    Memory(None, home, "chapter_check").write(Failure(ago(3)))
    memory = Memory(connection, home, "chapter_feed")
    assert memory.read()[0] == Failure(ago(2), ago(1))
    memory.write(Failure())
    assert Memory(None, home, "chapter_feed").read()[0] == Failure()
    assert Memory(None, home, "chapter_check").read()[0] == Failure(ago(3))


def test_a_database_without_our_tables_is_no_memory(empty_database_url: str, home: Path) -> None:
    with sql.connect(empty_database_url) as connection:
        memory = Memory(connection, home, "chapter_feed")
        assert memory.read() == (Failure(), None)
        memory.write(Failure(ago(1)))
    assert Memory(None, home, "chapter_feed").read()[0] == Failure(ago(1))


@pytest.mark.parametrize("content", ["", "[]", '{"chapter_feed": 7}', "{", "\udcff"])
def test_a_damaged_file_remembers_nothing(home: Path, content: str) -> None:
    (home / "alerts.json").write_bytes(content.encode(errors="surrogateescape"))
    memory = Memory(None, home, "chapter_feed")
    assert memory.read()[0] == Failure()
    memory.write(Failure(ago(1)))
    assert memory.read()[0] == Failure(ago(1))


# --- sending -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_one_who_hears_is_enough(receiver: Receiver, stop: SignalStop, caplog: Any) -> None:
    assert alert_sender.send(("json://127.0.0.1:9/sesame", receiver.url), WORD, stop)
    assert receiver.titles == [WORD.title]
    assert "addresses=2 reached=1" in caplog.text
    assert "sesame" not in caplog.text


@pytest.mark.parametrize("url", ["json://127.0.0.1:9/", "nosuchservice://sesame@there/"])
def test_an_alert_that_reaches_no_address_is_logged(
    url: str, stop: SignalStop, caplog: Any
) -> None:
    assert not alert_sender.send((url,), WORD, stop)
    assert "addresses=1 reached=0" in caplog.text
    assert "sesame" not in caplog.text


def test_one_who_takes_the_call_and_says_nothing_is_given_up(
    stop: SignalStop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_sender, "PATIENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        url = f"json://127.0.0.1:{silent.getsockname()[1]}/"
        assert not alert_sender.send((url,), WORD, stop)
    assert time.monotonic() - began_s < 8


def test_a_sender_that_ends_while_it_is_looked_at_is_not_waited_for(stop: SignalStop) -> None:
    sentinel, other_end = os.pipe()
    os.close(other_end)  # readable from now on
    answers = iter([True, False, False])
    sender: Any = SimpleNamespace(sentinel=sentinel, is_alive=lambda: next(answers))
    began_s = time.monotonic()
    alert_sender._await([sender], stop)
    os.close(sentinel)
    assert time.monotonic() - began_s < 8


def test_a_signal_ends_the_sending(stop: SignalStop) -> None:
    stop._handle(signal.SIGTERM, None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        assert not alert_sender.send((f"json://127.0.0.1:{silent.getsockname()[1]}/",), WORD, stop)
    assert time.monotonic() - began_s < 8


def test_without_the_library_the_warning_names_what_to_install(
    stop: SignalStop, mocker: MockerFixture, caplog: Any
) -> None:
    mocker.patch.object(alert_sender, "find_spec", return_value=None)
    assert not alert_sender.send(("json://127.0.0.1:9/sesame",), WORD, stop)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "pip install '.[alerts]'" in record.getMessage()


# --- the real program --------------------------------------------------------------------------


def test_a_lasting_failure_and_its_end_are_reported_once_each(
    simulator: Simulators,
    run_batch: Run,
    environment: Callable[..., Any],
    connection: sql.Connection,
    receiver: Receiver,
) -> None:
    sim = simulator(titles=10, rate=0)
    env = environment(sim) | {"MANGAHUB_ALERT_URLS": receiver.url}
    sim.fail("404_json", count=None)
    connection.execute("UPDATE sync_state SET last_success_at = now() - interval '31 hours'")
    assert [run_batch("new-manga-poll", env=env).code for _ in range(2)] == [1, 1]
    assert receiver.titles == ["MangaHub: new-manga-poll keeps failing"]
    assert receiver.words[0]["type"] == "failure"
    assert "404" in receiver.words[0]["message"]
    sim.heal()
    assert [run_batch("new-manga-poll", env=env).code for _ in range(2)] == [0, 0]
    assert receiver.titles[1:] == ["MangaHub: new-manga-poll works again"]
    assert receiver.words[1]["type"] == "success"


def test_a_database_outage_is_reported_once_too(
    simulator: Simulators, run_batch: Run, environment: Callable[..., Any], receiver: Receiver
) -> None:
    here = environment(simulator(titles=10, rate=0)) | {
        "MANGAHUB_ALERT_URLS": receiver.url,
        "MANGAHUB_ALERT_AFTER_HOURS": "0",
    }
    away = here | {"DATABASE_URL": "postgresql://reader:hidden@127.0.0.1:9/mangahub"}
    assert [run_batch("new-manga-poll", env=away).code for _ in range(2)] == [75, 75]
    assert run_batch("new-manga-poll", env=here).code == 0
    endings = [re.sub(r".*poll ", "", title) for title in receiver.titles]
    assert endings == ["keeps failing", "works again"]
    assert "hidden" not in json.dumps(receiver.words)


def test_an_address_is_never_shown_and_a_silent_one_changes_nothing(
    simulator: Simulators, run_batch: Run, environment: Callable[..., Any]
) -> None:
    sim = simulator(titles=10, rate=0)
    sim.fail("404_json", count=None)
    env = environment(sim) | {
        "MANGAHUB_ALERT_URLS": "json://user:sesame@127.0.0.1:9/sesame",
        "MANGAHUB_ALERT_AFTER_HOURS": "0",
        "LOG_LEVEL": "DEBUG",
    }
    done = run_batch("new-manga-poll", "--json", env=env)
    assert done.code == 1
    assert "reached=0" in done.stderr
    assert "sesame" not in done.stdout + done.stderr
    assert "sesame" not in run_batch("doctor", env=env).stdout


@pytest.mark.parametrize(
    "value", ["sesame", "json://a, sesame", "json://a b json://c", "://sesame"]
)
def test_a_bad_address_is_refused_without_showing_it(run_batch: Run, value: str) -> None:
    done = run_batch("status", env={"MANGAHUB_ALERT_URLS": value})
    assert done.code == 2
    (line,) = done.stderr.splitlines()
    assert "MANGAHUB_ALERT_URLS" in line
    assert "sesame" not in line
