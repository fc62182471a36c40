"""`doctor`: looks at everything a run depends on, and names the cure of what is wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import sql
from batch.calls import Calls
from batch.config import Config
from batch.errors import BatchError
from batch.gate import Gate
from batch.host_budget import HostBudget
from batch.session import Session
from batch.stop import SignalStop
from mangahub.env import Env, SettingError

MAX_CLOCK_ERROR_S = 60
MIN_FREE_BYTES = 200 * 1024 * 1024
_SECRETS = frozenset({"api_key", "notify_key"})


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
    """Looks at everything, also when one thing is broken."""
    url: str | None = None
    try:
        url = sql.database_url(env)
        checks = [*_database_checks(url)]
    except (SettingError, sql.SqlError) as exc:
        checks = [Check("database", False, str(exc), "start it, or correct DATABASE_URL")]
    checks += [*_source_checks(config, stop), _data_directory(config.data_dir)]
    return Findings(checks, sql.masked(url) if url else None, masked_configuration(config))


def masked_configuration(config: Config) -> dict[str, object]:
    """Every setting by its field, secrets as `***`."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {
        name: "***" if name in _SECRETS and value else _plain(value)
        for name, value in values.items()
    }


def _plain(value: object) -> object:
    if isinstance(value, tuple | frozenset):
        return sorted(str(item) for item in value)
    return value if isinstance(value, str | int | float | None) else str(value)


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
    """One paced request; also tells whether the clocks agree."""
    gate = Gate(1, config.rate_per_second, 1)
    try:
        calls = Calls(gate, HostBudget(config.api_url, config.rate_per_second), "doctor", stop)
        session = Session(config.api_url, config.api_key, calls)
        try:
            with calls.turn():
                answer = session.get("/ping", [])
        finally:
            session.close()
    except BatchError as exc:
        cure = "check the network, MANGADEX_API_URL and proxies"
        yield Check("source", False, f"{config.api_url}: {exc}", cure)
        return
    is_well = answer.status == 200
    cure = "" if is_well else "check MANGADEX_API_URL; 403 without JSON is a ban: wait"
    yield Check("source", is_well, f"{config.api_url} answers with {answer.status}", cure)
    yield from _clock(answer.headers.get("Date", ""))


def _clock(date: str) -> Iterator[Check]:
    try:
        difference_s = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return
    is_well = abs(difference_s) <= MAX_CLOCK_ERROR_S
    fact = f"{abs(difference_s):.0f} s from the source's"
    yield Check("clock", is_well, fact, "" if is_well else "run a time service (NTP)")


def _data_directory(path: Path) -> Check:
    if not path.exists():
        return Check("data directory", True, f"{path} is not there yet; it is made when needed")
    if not os.access(path, os.W_OK | os.X_OK):
        cure = "give it to the user that runs the programs, or set MANGAHUB_DATA"
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
    settings = [f"  {name} = {value}" for name, value in findings.configuration.items()]
    url = f"database_url = {findings.database_url}"
    return "\n".join([*lines, url, "configuration:", *settings])


def _line(check: Check) -> str:
    mark = "ok  " if check.is_well else "BAD "
    return f"{mark} {check.name}: {check.fact}" + (f" → {check.cure}" if check.cure else "")


def exit_code(findings: Findings) -> int:
    return 0 if all(check.is_well for check in findings.checks) else 1
