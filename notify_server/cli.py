"""The command line: read the configuration once, run one command, report how it ended.

Exit codes: 0 done (for `serve`: stopped by TERM or INT) · 1 failed · 2 bad usage or configuration ·
75 the database is down, try again later.
"""

from __future__ import annotations

import argparse
import json
import logging

import psycopg

import sql
from mangahub import __version__
from mangahub.command_line import parse, write, write_notice
from mangahub.env import Env, SettingError
from mangahub.log import configure
from mangahub.secret import SecretUnusable
from mangahub.sockets import PortTaken
from notify_server import config
from notify_server.commands import (
    channel,
    channels,
    export_list,
    import_list,
    key,
    library,
    preferences,
    progress,
    serve,
    suggest,
    user,
)
from notify_server.commands.command import Call, add_json, wants_json
from notify_server.errors import NotifyError, UsageError
from readers.errors import InvalidPreference, ReadersError

COMMANDS = (
    serve,
    channels,
    user,
    library,
    import_list,
    export_list,
    preferences,
    progress,
    suggest,
    channel,
    key,
)

log = logging.getLogger(__name__)

_TRY_AGAIN = 75


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parse(_parser(), argv)
    env = Env()
    try:
        reason, code = _run_command(arguments, env)
    except psycopg.Error as exc:
        reason, code = f"the database refused: {exc.diag.message_primary or exc}", 1
    if reason is not None:
        _report_failure(reason, code, arguments, env)
    return code


def _run_command(arguments: argparse.Namespace, env: Env) -> tuple[str | None, int]:
    """Return why the command failed, None if it did not, and the exit code."""
    try:
        settings = config.load(env)
        configure(settings.log_format, settings.log_level)
        arguments.run(Call(arguments, settings, env))
    except (SettingError, SecretUnusable, UsageError, InvalidPreference) as exc:
        return str(exc), 2
    except sql.DatabaseDown as exc:
        return str(exc), _TRY_AGAIN
    except (sql.SqlError, NotifyError, PortTaken, ReadersError) as exc:
        return str(exc), 1
    return None, 0


def _report_failure(reason: str, code: int, arguments: argparse.Namespace, env: Env) -> None:
    """Print one line to stderr, and for --json an object to stdout."""
    if env.raw("LOG_FORMAT") == "json":
        configure("json")
        log.error("%s", reason)
    else:
        write_notice("mangahub-notify", reason)
    if wants_json(arguments):
        write(json.dumps({"error": reason, "exit_code": code}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mangahub-notify", description="Pushes news to MangaHub's readers over UDP."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=serve.serve)
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        command.add_commands(commands)
    return parser
