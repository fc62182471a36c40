"""What operators forget, and what `doctor` says about it: severity, fact and cure."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_mock import MockerFixture

import sql
from batch.commands.doctor import checks, database_checks, examination
from batch.commands.doctor.checks import Check
from batch.config import Config, load
from batch.errors import Banned
from batch.limits import circuit
from batch.models import Rejected
from batch.reporting import alert_sender
from batch.stop import SignalStop
from batch.store import rejections
from mangadex_sim import Simulator
from mangahub.env import Env
from sql.budget import Budget, Pace
from sql.state.source import Health
from sql.state.workflows import SyncState, find_delay
from tests.architecture.imports import MODULES
from tests.support.raw_server import OK, RawServer

Serve = Callable[..., RawServer]


@pytest.fixture
def stop() -> Iterator[SignalStop]:
    with closing(SignalStop()) as made:
        yield made


@pytest.fixture
def sim(simulator: Callable[..., Simulator]) -> Simulator:
    return simulator(titles=3, rate=0)


def config(**variables: str) -> Config:
    return load(Env(variables))


# --- the database ------------------------------------------------------------------------------


def work(connection: sql.Connection, name: str) -> Check:
    found = {c.name: c for c in database_checks.check_work(connection, timedelta(hours=6))}
    return found[name]


def test_an_empty_catalogue_is_a_warning_that_names_the_command(
    connection: sql.Connection,
) -> None:
    found = work(connection, "titles")
    assert found.severity == "warn"
    assert "mangahub-batch initial-sync" in found.cure
    connection.execute("INSERT INTO manga (title, mangadex_id) VALUES ('a', gen_random_uuid())")
    assert work(connection, "titles").is_well


@pytest.mark.parametrize(
    ("workflow", "success", "is_late"),
    [
        ("chapter_feed", "5 hours", False),
        ("chapter_feed", "7 hours", True),
        ("metadata_refresh", "29 hours", False),
        ("metadata_refresh", "31 hours", True),
        ("initial_sync", "900 days", False),
    ],
)
def test_a_workflow_without_success_for_long_is_named_with_its_error(
    connection: sql.Connection, workflow: str, success: str, is_late: bool
) -> None:
    connection.execute(
        "UPDATE sync_state SET last_success_at = now() - %s::interval, error_message = %s"
        " WHERE sync_type = %s",
        [success, "it went\nwrong", workflow],
    )
    found = work(connection, "workflows")
    assert found.severity == ("warn" if is_late else "ok")
    assert ("(it went wrong)" in found.fact) == is_late
    assert ("list-timers" in found.cure) == is_late


@pytest.mark.parametrize(
    ("error", "delay"), [(None, None), ("gone", "chapter-feed has never succeeded (gone)")]
)
def test_a_workflow_that_never_succeeded_is_named_once_it_has_failed(
    error: str | None, delay: str | None
) -> None:
    row = SyncState("chapter_feed", None, None, None, "error", error, {})
    assert find_delay(row, timedelta(0), datetime.now(UTC)) == delay


@pytest.mark.parametrize(("age", "is_long"), [("50 minutes", False), ("2 hours", True)])
def test_events_that_are_owed_for_long_are_named_with_the_reason(
    connection: sql.Connection, age: str, is_long: bool
) -> None:
    connection.execute(
        "INSERT INTO notification_events (dedup_key, type, payload, created_at, last_error)"
        " VALUES ('a', 'new-manga', '{}', now() - %s::interval, 'refused')",
        [age],
    )
    found = work(connection, "events")
    assert found.severity == ("warn" if is_long else "ok")
    assert ("refused" in found.fact, "relay" in found.cure) == (is_long, is_long)


def test_entities_that_could_not_be_stored_are_counted_by_workflow(
    connection: sql.Connection,
) -> None:
    rejected = [Rejected("a", "too long"), Rejected("b", "no title")]
    rejections.record(connection, "initial_sync", rejected, datetime.now(UTC))
    found = work(connection, "refused")
    assert found.fact == "2 entities could not be stored: 2 in initial-sync"
    assert (found.severity, "mangahub-batch status" in found.cure) == ("warn", True)


@pytest.mark.parametrize("date", ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"])
def test_dates_that_cannot_be_read_are_named(connection: sql.Connection, date: str) -> None:
    connection.execute("INSERT INTO manga (slug, title) VALUES ('a', 'A'), ('b', 'B')")
    connection.execute("INSERT INTO chapters (manga_id, chapter_number) SELECT id, 1 FROM manga")
    assert work(connection, "dates").severity == "ok"
    connection.execute("UPDATE chapters SET published_at = %s WHERE id = 2", [date])
    connection.execute("UPDATE manga SET last_synced_at = %s", [date])
    check = work(connection, "dates")
    assert check.severity == "warn"
    assert check.fact.endswith("manga with the id 1, 2; chapters with the id 2")


def test_a_database_that_takes_no_writes_is_bad(connection: sql.Connection) -> None:
    assert database_checks.check_rights(connection).is_well
    connection.execute("SET default_transaction_read_only = on")
    found = database_checks.check_rights(connection)
    assert (found.severity, "read-only" in found.fact) == ("bad", True)


def written_by_batch() -> set[tuple[str, str]]:
    """Return what the statements in the batch's source need: table and privilege."""
    kinds = {
        "INSERT": r"INSERT INTO (\w+)",
        "UPDATE": r"\bUPDATE (\w+)(?: AS \w+)? SET|INSERT INTO (\w+)(?=[^;]* DO UPDATE)",
        "DELETE": r"DELETE FROM (\w+)",
    }
    texts = [
        node.value
        for module in MODULES.values()
        if module.package == "batch"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return {
        (next(filter(None, found.groups())), kind)
        for kind, pattern in kinds.items()
        for text in texts
        for found in re.finditer(pattern, text)
    }


def test_every_right_that_a_statement_needs_is_looked_at() -> None:
    known = {
        (table, right)
        for table, rights in database_checks.RIGHTS.items()
        for right in rights.split()
    }
    assert written_by_batch() <= known


def test_rights_that_are_missing_are_named(connection: sql.Connection) -> None:
    role = f"reader_{uuid4().hex}"
    connection.execute(f"CREATE ROLE {role}".encode())
    try:
        for table, rights in database_checks.RIGHTS.items():
            wanted = ", ".join(rights.split())
            connection.execute(f"GRANT {wanted} ON {table} TO {role}".encode())
        connection.execute(f"REVOKE INSERT ON chapter_announcements FROM {role}".encode())
        connection.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}".encode())
        connection.execute(f"REVOKE USAGE ON manga_id_seq FROM {role}".encode())
        connection.execute(f"SET ROLE {role}".encode())
        found = database_checks.check_rights(connection)
        missing = "INSERT on chapter_announcements, USAGE on manga_id_seq"
        assert (found.severity, found.cure) == ("bad", f"GRANT it {missing}")
    finally:
        connection.execute("RESET ROLE")
        connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP ROLE {role}".encode())


# --- the source --------------------------------------------------------------------------------


def test_during_a_ban_the_source_is_left_alone(
    sim: Simulator,
    connection: sql.Connection,
    database_url: str,
    home: Path,
    stop: SignalStop,
) -> None:
    circuit.note_failure(connection, Banned("answered 403"), datetime.now(UTC))
    variables = {"DATABASE_URL": database_url, "MANGAHUB_DATA": str(home)}
    env = Env(variables | {"MANGADEX_API_URL": sim.url})
    found = {c.name: c for c in examination.examine(env, load(env), stop).checks}["source"]
    assert (found.severity, "answered 403" in found.fact) == ("bad", True)
    assert "wait until" in found.cure
    assert sim.stats()["total"] == 0


def test_while_the_source_wants_a_pause_the_cure_is_to_wait(
    sim: Simulator, connection: sql.Connection, stop: SignalStop
) -> None:
    Budget(lambda: connection, sim.url, Pace(5)).pause(600)
    settings = config(MANGADEX_API_URL=sim.url)
    (found,) = checks.check_source(settings, Health(), connection, stop)
    assert (found.severity, found.cure.partition(";")[0]) == ("bad", "wait")
    assert sim.stats()["total"] == 0


def test_without_a_database_the_source_is_asked_once(sim: Simulator, stop: SignalStop) -> None:
    found, _ = checks.check_source(config(MANGADEX_API_URL=sim.url), Health(), None, stop)
    assert (found.name, found.severity) == ("source", "ok")
    assert sim.stats()["total"] == 1


@pytest.mark.parametrize(
    ("url", "rate", "burst", "expected"),
    [
        ("https://api.mangadex.org", "5", "1", "ok"),
        ("https://api.mangadex.org", "5.1", "1", "warn"),
        ("https://api.mangadex.org", "5", "2", "warn"),
        ("https://api.mangadex.org", "2", "4", "ok"),
        ("http://localhost:8099", "200", "10", "ok"),
        ("http://[::1]:8099", "200", "10", "ok"),
    ],
)
def test_a_rate_that_gets_one_banned_is_a_warning(
    url: str, rate: str, burst: str, expected: str
) -> None:
    settings = config(
        MANGADEX_API_URL=url, MANGA_SYNC_RATE_PER_SECOND=rate, MANGA_SYNC_RATE_BURST=burst
    )
    assert checks.check_rate(settings).severity == expected


# --- the notification server -------------------------------------------------------------------

REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
AWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
FOREIGN = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("alive", "ready", "expected", "cure"),
    [
        pytest.param(OK, OK, "ok", "", id="ready"),
        pytest.param(OK, REFUSED, "bad", "NOTIFY_API_KEY", id="another key"),
        pytest.param(OK, AWAY, "warn", "log", id="not ready"),
        pytest.param(FOREIGN, FOREIGN, "warn", "UDP_SERVER_URL", id="another program"),
    ],
)
def test_the_notification_server_is_asked_as_the_batch_would(
    serve: Serve, alive: bytes, ready: bytes, expected: str, cure: str
) -> None:
    def answer(server: RawServer, connection: Any) -> None:
        head = server.read(connection)
        connection.sendall(alive if b" /healthz " in head else ready)

    notify = serve(answer)
    found = checks.check_notify(config(UDP_SERVER_URL=notify.url, NOTIFY_API_KEY="a-key"))
    assert found.severity == expected
    assert cure in found.cure
    alive_head, ready_head = notify.requests
    assert b"a-key" not in alive_head
    assert b"Authorization: Bearer a-key" in ready_head


def test_a_notification_server_that_is_not_there_is_no_failure() -> None:
    found = checks.check_notify(config(UDP_SERVER_URL="http://127.0.0.1:9"))
    assert found.severity == "warn"
    assert "mangahub-notify" in found.cure


# --- this host ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "expected"), [("here", "ok"), ("missing", "warn")])
def test_a_directory_for_figures_has_to_be_there(home: Path, place: str, expected: str) -> None:
    (home / "here").mkdir()
    (found,) = checks.check_extras(config(MANGAHUB_METRICS_DIR=str(home / place)))
    assert found.severity == expected


@pytest.mark.parametrize(("is_installed", "expected"), [(True, "ok"), (False, "warn")])
def test_alerts_need_their_library(
    mocker: MockerFixture, is_installed: bool, expected: str
) -> None:
    mocker.patch.object(alert_sender, "is_installed", return_value=is_installed)
    (found,) = checks.check_extras(config(MANGAHUB_ALERT_URLS="json://sesame@host, json://other"))
    assert found.severity == expected
    assert "2 addresses" in found.fact and "sesame" not in found.fact
    assert ("pip install" in found.cure) == (not is_installed)


@pytest.mark.parametrize(
    ("mode", "severities"), [(None, []), (0o600, []), (0o640, ["bad"]), (0o604, ["bad"])]
)
def test_a_secret_that_others_may_read_is_bad(
    home: Path, mode: int | None, severities: list[str]
) -> None:
    path = home / "notify_secret"
    if mode is not None:
        path.touch()
        path.chmod(mode)
    found = list(checks.check_secret(path))
    assert [check.severity for check in found] == severities
    assert all(f"chmod 600 {path}" in check.cure for check in found)


@pytest.mark.parametrize(("free_mib", "severity"), [(0, "bad"), (199, "bad"), (200, "ok")])
def test_a_disk_that_is_nearly_full_is_bad(
    home: Path, mocker: MockerFixture, free_mib: int, severity: str
) -> None:
    mocker.patch.object(shutil, "disk_usage").return_value.free = free_mib << 20
    found = checks.check_directory("data directory", home, "")
    assert (found.severity, found.fact) == (severity, f"{home} has {free_mib} MiB free")
    assert found.cure == ("free some space on this disk" if severity == "bad" else "")


@pytest.mark.parametrize(
    ("severities", "code"), [(["ok", "warn"], 0), (["ok", "warn", "bad"], 1), ([], 0)]
)
def test_a_warning_does_not_change_how_the_doctor_ends(severities: list[Any], code: int) -> None:
    found = [Check(f"check {n}", severity, "a fact") for n, severity in enumerate(severities)]
    findings = examination.Findings(found, None, {})
    assert examination.exit_code(findings) == code
    assert all(
        each["ok"] == (each["severity"] == "ok")
        for each in examination.as_json(findings)["checks"].values()  # type: ignore[attr-defined]
    )
