"""The command line: read the configuration once, run one command, report how it ended.

Exit codes: 0 done · 1 failed · 2 bad usage or configuration · 75 try again later (EX_TEMPFAIL of
sysexits.h) · 128 + N stopped by signal N.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
from collections.abc import Sequence

from batch.commands import import_account, migrate, relay, retention, status, sync
from batch.commands.context import Command, Context, Failed, Report
from batch.commands.doctor import examination
from batch.config import load
from batch.errors import EXIT_FAILED, BatchError, exit_code
from batch.stop import listening
from mangahub import __version__, log
from mangahub.command_line import parse, write
from mangahub.env import Env, SettingError
from sql import SqlError, one_line

COMMANDS = (
    *sync.COMMANDS,
    import_account.COMMAND,
    relay.COMMAND,
    retention.COMMAND,
    status.COMMAND,
    migrate.COMMAND,
    examination.COMMAND,
)

logger = logging.getLogger("batch")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = parse(_parser(), argv)
    command: Command = arguments.command
    env = Env()
    # Before the settings are checked: an error in one is a line of the chosen format too.
    log.configure("json" if env.raw("LOG_FORMAT") == "json" else "text")
    try:
        config = load(env)
        log.configure(config.log_format, config.log_level)
        with listening() as stop:
            report = command.run(Context(arguments, env, config, stop))
    except Exception as exc:
        report = _failure(exc, command)
    code = _print(report, arguments.json)
    gc.freeze()  # else the interpreter's last collections take 60 ms
    return code


def _print(report: Report, as_json: bool) -> int:
    """Print one JSON object or the text for people; return the exit code.

    A report that cannot be printed is a failure.
    """
    lines = [json.dumps(report.data, default=str)] if as_json else report.lines
    if lines and (error := write(*lines)):
        logger.error("%s", error)
        return report.code or EXIT_FAILED
    return report.code


def _failure(exc: Exception, command: Command) -> Report:
    """Log the error in one line; return what `--json` prints."""
    done = exc.done if isinstance(exc, Failed) else command.nothing_done
    cause = exc.cause if isinstance(exc, Failed) else exc
    line = one_line(cause)
    if isinstance(cause, SettingError | BatchError | SqlError):
        logger.error("%s", line)
    else:
        line = f"{type(cause).__name__}: {line}"
        logger.error("Unexpected error", exc_info=cause)
    code = exit_code(cause)
    return Report({**done, "error": line, "exit_code": code}, code=code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mangahub-batch",
        description="Keeps a MangaHub catalogue in step with MangaDex: one job, then exit.",
        epilog="Settings come from the environment; see docs/operations.md. Exit codes: 0 done,"
        " 1 failed, 2 bad usage or configuration, 75 try again later, 128+N stopped by signal N.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        description = f"{command.summary[0].upper()}{command.summary[1:]}."
        subparser = subparsers.add_parser(
            command.name, help=command.summary, description=description
        )
        subparser.add_argument("--json", action="store_true", help="end stdout with a JSON object")
        subparser.set_defaults(command=command)
        command.add_arguments(subparser)
    return parser
