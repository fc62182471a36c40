"""The command line: read the configuration once, serve until a signal, report how it ended.

Exit codes: 0 stopped by TERM or INT · 1 failed · 2 bad usage or configuration · 75 the database is
down, try again later.
"""

from __future__ import annotations

import argparse
import json
import logging

import sql
from mangahub import __version__
from mangahub.command_line import parse, write, write_notice
from mangahub.env import Env, SettingError
from mangahub.log import configure
from mangahub.secret import SecretUnusable
from mangahub.sockets import PortTaken
from website import config
from website.errors import WebsiteError
from website.supervisor import Supervisor

log = logging.getLogger(__name__)

_TRY_AGAIN = 75


def main(argv: list[str] | None = None) -> int:
    """Serve, and return the exit code."""
    arguments = parse(_parser(), argv)
    env = Env()
    reason, code = _serve(arguments, env)
    if reason is not None:
        _report_failure(reason, code, arguments, env)
    return code


def _serve(arguments: argparse.Namespace, env: Env) -> tuple[str | None, int]:
    """Return why the program failed, None if it did not, and the exit code."""
    try:
        settings = config.load(env)
        configure(settings.log_format, settings.log_level)
        Supervisor(settings, sql.database_url(env)).run(as_json=_wants_json(arguments))
    except (SettingError, SecretUnusable) as exc:
        return str(exc), 2
    except sql.DatabaseDown as exc:
        return str(exc), _TRY_AGAIN
    except (sql.SqlError, PortTaken, WebsiteError) as exc:
        return str(exc), 1
    return None, 0


def _report_failure(reason: str, code: int, arguments: argparse.Namespace, env: Env) -> None:
    """Print one line to stderr, and for --json an object to stdout."""
    if env.raw("LOG_FORMAT") == "json":
        configure("json")
        log.error("%s", reason)
    else:
        write_notice("mangahub-web", reason)
    if _wants_json(arguments):
        write(json.dumps({"error": reason, "exit_code": code}))


def _wants_json(arguments: argparse.Namespace) -> bool:
    return getattr(arguments, "json", False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mangahub-web", description="Serves MangaHub's pages, feeds, calendar and streams."
    )
    parser.add_argument("--version", action="version", version=__version__)
    _add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND")
    text = "serve until TERM or INT (the default)"
    _add_json(commands.add_parser("serve", help=text, description=text))
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print the addresses as one JSON object",
    )
