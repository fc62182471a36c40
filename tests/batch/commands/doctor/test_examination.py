"""`doctor`: names what is wrong with each thing that a run depends on, and the cure."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import sql
from batch.commands.doctor import examination
from batch.config import Config, load
from batch.errors import Stopped
from batch.stop import SignalStop
from mangadex_sim import Simulator
from mangahub.env import Env, settings_of
from tests.support.raw_server import OK, RawServer, answering

Examine = Callable[..., examination.Findings]


@pytest.fixture
def stop() -> Iterator[SignalStop]:
    found = SignalStop()
    yield found
    found.close()


@pytest.fixture
def examine(database_url: str, home: Path, stop: SignalStop) -> Examine:
    """`examine(url, NAME="value")`: a healthy environment but for what is said."""

    def run(api_url: str, **variables: str) -> examination.Findings:
        usual = {
            "DATABASE_URL": database_url,
            "MANGADEX_API_URL": api_url,
            "MANGAHUB_DATA": str(home),
            "MANGA_SYNC_RATE_PER_SECOND": "500",
        }
        env = Env(usual | variables)
        return examination.examine(env, load(env), stop)

    return run


def check(findings: examination.Findings, name: str) -> dict[str, Any]:
    """What is said of one thing, by the names of --json."""
    found: dict[str, Any] = json.loads(json.dumps(examination.as_json(findings)))["checks"][name]
    return found


@pytest.fixture
def sim(simulator: Callable[..., Simulator]) -> Simulator:
    return simulator(titles=3, rate=0)


def dated(moment: datetime) -> bytes:
    return OK.replace(b"OK\r\n", f"OK\r\nDate: {format_datetime(moment, usegmt=True)}\r\n".encode())


def test_where_all_is_well_nothing_is_to_be_cured(
    serve: Callable[..., RawServer], examine: Examine
) -> None:
    server = serve(answering(dated(datetime.now(UTC))))
    findings = examine(server.url)
    for name in ("database", "schema", "rights", "source", "clock", "data directory"):
        found = check(findings, name)
        assert (found["ok"], found["cure"]) == (True, None)
    assert examination.exit_code(findings) == 0
    assert examination.as_json(findings)["status"] == "completed"
    assert len(server.requests) == 1


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_wrong_is_noticed(
    serve: Callable[..., RawServer], examine: Examine, hours: int
) -> None:
    server = serve(answering(dated(datetime.now(UTC) + timedelta(hours=hours))))
    found = check(examine(server.url), "clock")
    assert not found["ok"]
    assert "NTP" in found["cure"]


@pytest.mark.parametrize("date", [b"garbage", b"Sun, 01 Mar 99999 12:00:00 GMT"])
def test_a_source_that_tells_no_time_says_nothing_of_the_clock(
    serve: Callable[..., RawServer], examine: Examine, date: bytes
) -> None:
    server = serve(answering(OK.replace(b"OK\r\n", b"OK\r\nDate: " + date + b"\r\n")))
    assert "clock" not in [check.name for check in examine(server.url).checks]


@pytest.mark.parametrize(
    ("mode", "fact"),
    [
        ("403_html_ban", "answers with 403"),
        ("500", "answers with 500"),
        ("302", "answers with 302"),
        ("429_bare", "answers with 429"),
        ("reset", "Connection reset"),
    ],
)
def test_a_failing_source_is_named_with_its_answer(
    sim: Simulator, examine: Examine, mode: str, fact: str
) -> None:
    sim.fail(mode)
    found = check(examine(sim.url), "source")
    assert not found["ok"]
    assert sim.url in found["fact"] and fact in found["fact"]
    assert found["cure"]
    assert sim.stats()["total"] == 1


def test_a_role_without_rights_is_told_to_get_them(
    sim: Simulator, examine: Examine, database_url: str, connection: sql.Connection
) -> None:
    role = f"guest_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {role} LOGIN".encode())
    try:
        url = re.sub("//[^@]*@", f"//{role}@", database_url)
        found = check(examine(sim.url, DATABASE_URL=url), "schema")
    finally:
        connection.execute(f"DROP ROLE {role}".encode())
    assert not found["ok"]
    assert "permission denied" in found["fact"] and "GRANT" in found["fact"]
    assert "start it" not in found["cure"]


def test_an_old_schema_names_the_command(
    sim: Simulator, examine: Examine, empty_database_url: str
) -> None:
    findings = examine(sim.url, DATABASE_URL=empty_database_url)
    assert check(findings, "database")["ok"]
    found = check(findings, "schema")
    assert not found["ok"]
    assert found["cure"] == "run: mangahub-batch migrate"


def test_a_newer_schema_is_no_case_for_migrate(
    sim: Simulator, examine: Examine, connection: sql.Connection
) -> None:
    connection.execute(
        "INSERT INTO sync_schema_migrations (name, sha256) VALUES ('9999_later', 'x')"
    )
    found = check(examine(sim.url), "schema")
    assert not found["ok"]
    assert "migrate" not in found["cure"]


def test_a_database_that_cannot_be_asked_is_no_reason_to_stop_looking(
    sim: Simulator, examine: Examine, connection: sql.Connection
) -> None:
    connection.execute("ALTER TABLE sync_schema_migrations DROP COLUMN sha256")
    findings = examine(sim.url)
    assert not check(findings, "database")["ok"]
    assert "sha256" in check(findings, "database")["fact"]
    assert check(findings, "source")["ok"]


def test_a_data_directory_that_is_not_there_yet_is_well(
    sim: Simulator, examine: Examine, home: Path
) -> None:
    found = check(examine(sim.url, MANGAHUB_DATA=str(home / "later")), "data directory")
    assert found["ok"]
    assert "does not exist yet" in found["fact"]


def test_a_data_directory_that_is_a_file_is_not_well(
    sim: Simulator, examine: Examine, home: Path
) -> None:
    (home / "file").write_text("")
    for place in (home / "file", home / "file" / "below"):
        found = check(examine(sim.url, MANGAHUB_DATA=str(place)), "data directory")
        assert not found["ok"]
        assert "MANGAHUB_DATA" in found["cure"]


def test_a_data_directory_that_may_not_be_looked_into_is_not_well(
    sim: Simulator, examine: Examine, home: Path
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may look everywhere")
    (home / "closed").mkdir(mode=0)
    try:
        for place in (home / "closed", home / "closed" / "below"):
            assert not check(examine(sim.url, MANGAHUB_DATA=str(place)), "data directory")["ok"]
    finally:
        (home / "closed").chmod(0o700)


def test_a_signal_ends_a_doctor_that_waits_for_a_departure(
    sim: Simulator, examine: Examine, stop: SignalStop
) -> None:
    examine(sim.url, MANGA_SYNC_RATE_PER_SECOND="0.2")  # the next call is due in 5 s
    stop.signal_number = 15
    with pytest.raises(Stopped):
        examine(sim.url, MANGA_SYNC_RATE_PER_SECOND="0.2")
    assert sim.stats()["total"] == 1


# --- what it shows -----------------------------------------------------------------------------


def test_settings_are_shown_by_the_variables_that_make_them(
    sim: Simulator, examine: Examine, database_url: str
) -> None:
    findings = examine(
        sim.url, MANGA_SYNC_WORKERS="3", MANGA_SYNC_INITIAL="off", NOTIFY_API_KEY="s3cret-key"
    )
    data = json.loads(json.dumps(examination.as_json(findings)))
    assert set(data["configuration"]) == {s.name for s in settings_of(Config).values()}
    assert (data["configuration"]["MANGA_SYNC_WORKERS"], data["database_url"]) == (3, database_url)
    lines = examination.as_lines(findings)
    assert f"  DATABASE_URL = {database_url}" in lines
    assert {
        "  MANGA_SYNC_WORKERS = 3",
        "  MANGA_SYNC_INITIAL = false",
        "  MANGA_SYNC_REFRESH_HOURS = 24",
        "  MANGA_SYNC_LANGUAGES = en",
        "  MANGADEX_API_KEY = -",
        "  NOTIFY_API_KEY = ***",
    } <= set(lines)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


BAD = ["database", "source", "data directory"]
BROKEN = {
    "MANGADEX_API_KEY": "s3cret-api",
    "NOTIFY_API_KEY": "s3cret-notify",
    "MANGAHUB_DATA": "/dev/null/below",
    "MANGA_SYNC_RATE_PER_SECOND": "500",
}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_where_everything_is_broken_each_thing_is_one_line_and_no_secret_is_shown(
    run_batch: Callable[..., Any], log_format: str
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    env = BROKEN | {
        "DATABASE_URL": f"postgresql://me:s3cret@{nowhere}/hub",
        "MANGADEX_API_URL": f"http://{nowhere}",
        "LOG_FORMAT": log_format,
    }
    found = run_batch("doctor", env=env)
    assert found.code == 1
    checks = found.stdout.split("configuration:")[0].splitlines()
    bad = [line for line in checks if line.startswith("BAD ")]
    assert [re.split(r": | {2}", line)[1] for line in bad] == BAD
    assert all(" → " in line for line in bad)
    assert all(re.match(r"(ok  |WARN|BAD ) [a-z ]+: ", line) for line in checks)
    assert "me:***@" in found.stdout
    assert "s3cret" not in found.stdout + found.stderr
    as_json = run_batch("doctor", "--json", env=env)
    assert (as_json.code, as_json.json["status"]) == (1, "error")
    assert not any(as_json.json["checks"][name]["ok"] for name in BAD)
    assert "s3cret" not in as_json.stdout + as_json.stderr
    if log_format == "json":
        for line in as_json.stderr.splitlines():
            json.loads(line)


def test_a_bad_setting_ends_the_doctor_before_it_begins(run_batch: Callable[..., Any]) -> None:
    found = run_batch("doctor", env={"MANGA_SYNC_WORKERS": "none"})
    assert found.code == 2
    assert "MANGA_SYNC_WORKERS='none' is not allowed" in found.stderr


def test_json_log_lines_of_a_failing_run_can_all_be_parsed(
    simulator: Callable[..., Simulator],
    environment: Callable[..., dict[str, str]],
    run_batch: Callable[..., Any],
) -> None:
    sim = simulator(titles=60, rate=0)
    for mode in ("500", "html_200", "close"):
        sim.fail(mode)
    sim.fail("title_number_where_text")
    env = environment(sim, WORKERS="2") | {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    done = run_batch("initial-sync", "--count", "50", env=env)
    assert done.code == 0
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    warnings = [entry["message"] for entry in entries if entry["level"] == "WARNING"]
    assert len(warnings) == 4
    assert not any("\n" in message for message in warnings)
