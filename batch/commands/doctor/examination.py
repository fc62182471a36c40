"""`doctor`: look at everything a run depends on, and name the cure of what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg

import sql
from batch import config as settings
from batch.commands.context import Command, Context, Report
from batch.commands.doctor import checks, database_checks
from batch.commands.doctor.checks import Check
from batch.config import Config
from batch.stop import SignalStop
from mangahub.env import Env, SettingError
from sql import embedded
from sql.state import source
from sql.state.source import Health


@dataclass(frozen=True, slots=True)
class Findings:
    """The results; `database_url` is the one that programs use, with the password masked."""

    checks: list[Check]
    database_url: str | None
    configuration: dict[str, object]


def run(context: Context) -> Report:
    """Look for the usual mistakes; exit code 1 if one keeps a run from its work."""
    findings = examine(context.env, context.config, context.stop)
    return Report(as_json(findings), as_lines(findings), exit_code(findings))


def examine(env: Env, config: Config, stop: SignalStop) -> Findings:
    """Check everything, also if one thing is broken.

    Raises:
        Stopped: a signal came.
    """
    found: list[Check] = []
    url: str | None = None
    try:
        url = sql.database_url(env)
        _examine_database(url, config, stop, found)
    except (SettingError, sql.SqlError, psycopg.Error) as exc:
        cure = "start it, or correct DATABASE_URL"
        if isinstance(exc, sql.Unsuitable | sql.DatabaseUnwritable):
            cure = database_checks.SEE_DATABASE  # the fact says what to do
        found.append(Check("database", "bad", sql.one_line(exc), cure))
    if "source" not in {check.name for check in found}:
        found += checks.check_source(config, Health(), None, stop)
    found += [checks.check_rate(config), checks.check_notify(config), *_directories(env, config)]
    found += checks.check_extras(config)
    return Findings(found, sql.masked(url) if url else None, settings.shown(config))


def _examine_database(url: str, config: Config, stop: SignalStop, found: list[Check]) -> None:
    """Add the checks of the database, and of the source, whose budget is in it."""
    began_s = time.monotonic()
    with closing(sql.connect(url, "mangahub-batch doctor")) as connection, sql.translated():
        took_s = time.monotonic() - began_s
        found.append(database_checks.check_server(connection, took_s))
        found.append(schema := database_checks.check_schema(connection))
        if not schema.is_well:
            return
        found.append(database_checks.check_rights(connection))
        found.append(database_checks.check_connections(connection, config.workers))
        found += database_checks.check_work(connection, config.alert_after)
        found += checks.check_source(config, source.read_source(connection), connection, stop)


def _directories(env: Env, config: Config) -> Iterator[Check]:
    cure = "give it to the user that runs the programs, or set MANGAHUB_DATA"
    yield checks.check_directory("data directory", config.data_dir, cure)
    yield from checks.check_secret(config.data_dir / "notify_secret")
    home = embedded.places(config.data_dir).home
    if env.raw("DATABASE_URL") is None and home.is_dir():
        yield checks.check_directory("embedded database", home, cure)


def as_json(findings: Findings) -> dict[str, object]:
    return {
        "status": "completed" if exit_code(findings) == 0 else "error",
        "database_url": findings.database_url,
        "checks": {
            check.name: {
                "ok": check.is_well,
                "severity": check.severity,
                "fact": check.fact,
                "cure": check.cure or None,
            }
            for check in findings.checks
        },
        "configuration": findings.configuration,
    }


def as_lines(findings: Findings) -> list[str]:
    lines = [_line(check) for check in findings.checks]
    url = f"  DATABASE_URL = {findings.database_url or '-'}"
    others = [f"  {name} = {_written(value)}" for name, value in findings.configuration.items()]
    return [*lines, "configuration:", url, *others]


def _written(value: object) -> str:
    """Return the value as it would stand in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None or value == "" else str(value)


def _line(check: Check) -> str:
    mark = {"ok": "ok  ", "warn": "WARN", "bad": "BAD "}[check.severity]
    return f"{mark} {check.name}: {check.fact}" + (f" → {check.cure}" if check.cure else "")


def exit_code(findings: Findings) -> int:
    """Return 1 if something keeps a run from its work; a warning does not."""
    return int(any(check.severity == "bad" for check in findings.checks))


COMMAND = Command("doctor", "look for the usual mistakes and name the cure", run)
