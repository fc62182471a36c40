"""`doctor`: looks at everything a run depends on, and names the cure of what is wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

import sql
from batch import config as settings
from batch.answers import Answer, http_date
from batch.calls import Calls
from batch.config import Config
from batch.errors import BatchError, Stopped
from batch.gate import Gate
from batch.host_budget import HostBudget
from batch.session import Session
from batch.stop import SignalStop
from mangahub.env import Env, SettingError

MAX_CLOCK_ERROR_S = 60
MIN_FREE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `cure` says what to do where it is not well."""

    name: str
    is_well: bool
    fact: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the doctor found; `database_url` is the one that programs use, password masked."""

    checks: list[Check]
    database_url: str | None
    configuration: dict[str, object]


def examine(env: Env, config: Config, stop: SignalStop) -> Findings:
    """Looks at everything, also when one thing is broken.

    Raises:
        Stopped: a signal came.
    """
    url: str | None = None
    try:
        url = sql.database_url(env)
        checks = [*_database_checks(url)]
    except (SettingError, sql.SqlError, psycopg.Error) as exc:
        fact = " ".join(str(exc).split())
        checks = [Check("database", False, fact, "start it, or correct DATABASE_URL")]
    checks += [*_source_checks(config, stop), _data_directory(config.data_dir)]
    return Findings(checks, sql.masked(url) if url else None, settings.shown(config))


def _database_checks(url: str) -> Iterator[Check]:
    began_s = time.monotonic()
    with sql.connect(url, "mangahub-batch doctor") as connection:
        took_ms = (time.monotonic() - began_s) * 1000
        version = connection.info.server_version
        yield Check("database", True, f"PostgreSQL {version // 10000} answers in {took_ms:.0f} ms")
        try:
            sql.require_current(connection)
            yield Check("schema", True, "current")
        except sql.SchemaOutdated as exc:
            yield Check("schema", False, str(exc), "run: mangahub-batch migrate")
        except sql.SqlError as exc:
            yield Check("schema", False, str(exc), "install the version that made it, or newer")


def _source_checks(config: Config, stop: SignalStop) -> Iterator[Check]:
    """One request; also tells whether the clocks agree."""
    try:
        answer = _ask(config, stop)
    except Stopped:
        raise
    except BatchError as exc:
        cure = "check the network, MANGADEX_API_URL and proxies"
        yield Check("source", False, f"{config.api_url}: {exc}", cure)
        return
    is_well = answer.status == 200
    cure = "" if is_well else "check MANGADEX_API_URL; 403 without JSON is a ban: wait"
    yield Check("source", is_well, f"{config.api_url} answers with {answer.status}", cure)
    yield from _clock(answer.headers.get("Date", ""))


def _ask(config: Config, stop: SignalStop) -> Answer:
    """It waits for its slot like every call."""
    stop.check()
    gate = Gate(1, config.rate_per_second, 1)
    with closing(HostBudget(config.api_url, config.rate_per_second)) as budget:
        calls = Calls(gate, budget, "doctor", stop)
        with closing(Session(config.api_url, config.api_key, calls)) as session, calls.turn():
            return session.get("/manga", [("limit", "1")])


def _clock(date: str) -> Iterator[Check]:
    moment = http_date(date)
    if moment is None:
        return
    difference_s = (datetime.now(UTC) - moment).total_seconds()
    is_well = abs(difference_s) <= MAX_CLOCK_ERROR_S
    fact = f"{abs(difference_s):.0f} s from the source's"
    yield Check("clock", is_well, fact, "" if is_well else "run a time service (NTP)")


def _data_directory(path: Path) -> Check:
    cure = "give it to the user that runs the programs, or set MANGAHUB_DATA"
    try:
        path.stat()
    except FileNotFoundError:
        return Check("data directory", True, f"{path} is not there yet; it is made when needed")
    except OSError as exc:
        return Check("data directory", False, f"{path}: {exc.strerror}", cure)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        return Check("data directory", False, f"{path} cannot be written to", cure)
    free = shutil.disk_usage(path).free
    is_well = free >= MIN_FREE_BYTES
    fact = f"{path} has {free >> 20:,} MiB free"
    return Check("data directory", is_well, fact, "" if is_well else "make room on this disk")


def as_json(findings: Findings) -> dict[str, object]:
    return {
        "status": "completed" if exit_code(findings) == 0 else "error",
        "database_url": findings.database_url,
        "checks": {
            check.name: {"ok": check.is_well, "fact": check.fact, "cure": check.cure or None}
            for check in findings.checks
        },
        "configuration": findings.configuration,
    }


def as_text(findings: Findings) -> str:
    lines = [_line(check) for check in findings.checks]
    url = f"  DATABASE_URL = {findings.database_url or '-'}"
    others = [f"  {name} = {_written(value)}" for name, value in findings.configuration.items()]
    return "\n".join([*lines, "configuration:", url, *others])


def _written(value: object) -> str:
    """As it would stand in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None or value == "" else str(value)


def _line(check: Check) -> str:
    mark = "ok  " if check.is_well else "BAD "
    return f"{mark} {check.name}: {check.fact}" + (f" → {check.cure}" if check.cure else "")


def exit_code(findings: Findings) -> int:
    return 0 if all(check.is_well for check in findings.checks) else 1
