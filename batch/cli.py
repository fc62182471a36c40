"""The command line: reads the configuration once, runs one command, and says how it ended.

Exit codes: 0 done · 1 failed · 2 bad usage or configuration · 75 try again later (EX_TEMPFAIL of
sysexits.h) · 128 + N stopped by signal N.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

from batch.commands import context
from batch.config import MAX_COUNT, MAX_DAYS, load
from batch.errors import BatchError, exit_code
from batch.stop import listening
from mangahub import __version__, log
from mangahub.command_line import parse, write
from mangahub.env import Env, SettingError
from sql import SqlError

logger = logging.getLogger("batch")

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Command = Callable[[context.Context], context.Report]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    arguments = parse(_parser(), argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a title in a terminal without UTF-8
    env = Env()
    # Also what is wrong with a setting is one JSON object where lines are to be that.
    log.configure("json" if env.raw("LOG_FORMAT") == "json" else "text")
    try:
        config = load(env)
        log.configure(config.log_format, config.log_level)
        with listening() as stop:
            command: Command = arguments.function
            report = command(context.Context(arguments, env, config, stop))
    except Exception as exc:
        report = _failure(exc, arguments)
    code = _say(report, arguments.json)
    # The interpreter's last collections would walk through every module once more, for 60 ms.
    gc.freeze()
    return code


def _say(report: context.Report, as_json: bool) -> int:
    """With --json the last line of stdout is one object; without, the text for people.

    Returns:
        the exit code: that of the report, but no success where it could not be printed.
    """
    text = json.dumps(report.data, default=str) if as_json else report.text
    if text and (trouble := write(text)):
        logger.error("%s", trouble)
        return report.code or 1
    return report.code


def _failure(exc: Exception, arguments: argparse.Namespace) -> context.Report:
    """One line in the log, and the same for --json beside what was done until then.

    What nobody foresaw is logged with its traceback: someone has to look.
    """
    done = exc.done if isinstance(exc, context.Failed) else context.nothing_done(arguments)
    cause = exc.cause if isinstance(exc, context.Failed) else exc
    line = " ".join(str(cause).split())
    if isinstance(cause, SettingError | BatchError | SqlError):
        logger.error("%s", line)
    else:
        line = f"{type(cause).__name__}: {line}"
        logger.error("Nobody foresaw this", exc_info=cause)
    code = exit_code(cause)
    return context.Report(done | {"error": line, "exit_code": code}, code=code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mangahub-batch",
        description="Keeps a MangaHub catalogue in step with MangaDex: one job, then exit.",
        epilog="Settings come from the environment; see docs/operations.md. Exit codes: 0 done,"
        " 1 failed, 2 bad usage or configuration, 75 try again later, 128+N stopped by signal N.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_sync_commands(subparsers)
    _add_retention(subparsers)
    for name, function, text in (
        ("relay", context.relay, "deliver events that are still owed"),
        ("status", context.status, "what ran when, how it ended, and what failed"),
        ("migrate", context.migrate, "bring the database to the current schema"),
        ("doctor", context.doctor, "look for the usual mistakes and name the cure"),
    ):
        _add(subparsers, name, function, text)
    return parser


def _add_sync_commands(subparsers: Subparsers) -> None:
    initial = _add(subparsers, "initial-sync", context.sync, "import the first titles, or all")
    which = initial.add_mutually_exclusive_group()
    which.add_argument(
        "--count", type=_count, metavar="N", help="titles to import (MANGA_SYNC_INITIAL_COUNT)"
    )
    which.add_argument("--all", action="store_true", help="import the whole catalogue")
    initial.add_argument(
        "--force", action="store_true", help="also where a completed run has covered as much"
    )
    _add(subparsers, "new-manga-poll", context.sync, "import titles created since the last run")
    _add(subparsers, "chapter-feed", context.sync, "find new chapters of all tracked titles")
    check = _add(subparsers, "chapter-check", context.sync, "audit titles one by one, due first")
    how_many = check.add_mutually_exclusive_group()
    how_many.add_argument(
        "--limit", type=_limit, metavar="N", help="titles to check (MANGA_SYNC_CHAPTER_BATCH)"
    )
    how_many.add_argument("--all", action="store_true", help="all titles that are due")
    _add(subparsers, "metadata-refresh", context.sync, "store what changed of known titles")


def _add_retention(subparsers: Subparsers) -> None:
    retention = _add(
        subparsers, "retention", context.retention, "delete old read notifications and events"
    )
    retention.add_argument(
        "--days", type=_days, metavar="N", help="how old at least (MANGAHUB_RETENTION_DAYS)"
    )
    retention.add_argument("--dry-run", action="store_true", help="count only, delete nothing")


def _add(subparsers: Subparsers, name: str, function: object, text: str) -> argparse.ArgumentParser:
    description = f"{text[0].upper()}{text[1:]}."
    parser = subparsers.add_parser(name, help=text, description=description)
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    parser.set_defaults(function=function)
    return parser


def _count(text: str) -> int:
    return _between(text, 1, MAX_COUNT, " (use --all for more)")


def _limit(text: str) -> int:
    return _between(text, 1, 1_000_000, " (or --all)")


def _days(text: str) -> int:
    return _between(text, 1, MAX_DAYS, "")


def _between(text: str, low: int, high: int, hint: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"{text!r} is not allowed: it must be a whole number from {low} to {high:,}{hint}"
    )
