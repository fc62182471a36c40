"""`python -m notify_server [COMMAND]`: reads the configuration once and hands it down.

Exit codes: 0 done (for `serve`: stopped by TERM or INT) · 1 failed · 2 bad usage or configuration ·
75 the database is down, try again later.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from uuid import UUID

import psycopg

import sql
from mangahub import __version__
from mangahub.command_line import parse, printable, write, write_notice
from mangahub.env import Env, SettingError
from mangahub.log import configure
from notify_server import config, systemd
from notify_server.errors import NotifyError, SecretUnusable, UsageError
from notify_server.secret import load_secret
from notify_server.server import NotifyServer
from notify_server.store import users

log = logging.getLogger(__name__)

_TRY_AGAIN = 75
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Settings = config.Config


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    arguments = parse(_parser(), argv)
    env = Env()
    try:
        reason, code = _run_command(arguments, env)
    except psycopg.Error as exc:
        reason, code = f"the database refused: {exc.diag.message_primary or exc}", 1
    if reason is not None:
        _tell_failure(reason, code, arguments, env)
    return code


def _run_command(arguments: argparse.Namespace, env: Env) -> tuple[str | None, int]:
    """Why the command failed, None where it did not, and the exit code."""
    try:
        settings = config.load(env)
        configure(settings.log_format, settings.log_level)
        run: Callable[[argparse.Namespace, Settings, Env], None] = arguments.run
        run(arguments, settings, env)
    except (SettingError, SecretUnusable, UsageError) as exc:
        return str(exc), 2
    except sql.DatabaseDown as exc:
        return str(exc), _TRY_AGAIN
    except (sql.SqlError, NotifyError) as exc:
        return str(exc), 1
    return None, 0


def _tell_failure(reason: str, code: int, arguments: argparse.Namespace, env: Env) -> None:
    """One line on stderr, and for --json an object on stdout."""
    if env.raw("LOG_FORMAT") == "json":
        configure("json")
        log.error("%s", reason)
    else:
        write_notice("mangahub-notify", reason)
    if _wants_json(arguments):
        write(json.dumps({"error": reason, "exit_code": code}))


# --- arguments -------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mangahub-notify", description="Pushes news to MangaHub's readers over UDP."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=_serve)
    _add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND")
    _command(commands, "serve", "run the server (the default)", _serve)
    _add_user_commands(_group(commands, "user", "add and list users"))
    _add_library_commands(_group(commands, "library", "what a user reads"))
    key = _command(commands, "key", "print a user's key", _key)
    who = key.add_mutually_exclusive_group(required=True)
    who.add_argument("user", nargs="?", type=_plain_text, metavar="USER", help="username or id")
    who.add_argument("--all", action="store_true", help="the keys of all users")
    key.add_argument("--rotate", action="store_true", help="make a new key; the old one ends")
    return parser


def _add_user_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = _command(commands, "add", "add a user without password; prints the id", _user_add)
    add.add_argument("username", type=_username, metavar="USERNAME")
    add.add_argument("--email", type=_plain_text, help="default: USERNAME@localhost")
    add.add_argument("--id", type=_uuid, help="default: a random UUID")
    _command(commands, "list", "list all users", _user_list)


def _add_library_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    help_text = "title, id or MangaDex id; id:NUMBER where that is a title too"
    add = _command(commands, "add", "add titles", _library_add)
    remove = _command(commands, "remove", "remove titles", _library_remove)
    for command in (add, remove):
        command.add_argument("user", type=_plain_text, metavar="USER", help="username or id")
        command.add_argument("manga", nargs="+", type=_plain_text, metavar="MANGA", help=help_text)
    show = _command(commands, "list", "list a user's titles", _library_list)
    show.add_argument("user", type=_plain_text, metavar="USER", help="username or id")


def _group(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    group = commands.add_parser(name, help=text, description=text)
    return group.add_subparsers(metavar="COMMAND", required=True)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    run: Callable[[argparse.Namespace, Settings, Env], None],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    _add_json(command)
    return command


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="make the last line of stdout one JSON object",
    )


def _username(text: str) -> str:
    if not re.fullmatch(r"\S(.{0,98}\S)?", text) or not text.isprintable():
        shown = ascii(text if len(text) <= 80 else text[:77] + "...")
        raise argparse.ArgumentTypeError(
            f"{shown} is not allowed: it must be 1 to 100 printable characters without blanks "
            "around them"
        )
    return text


def _plain_text(text: str) -> str:
    # What is no UTF-8 arrives as halves of surrogate pairs, which no database takes.
    if not text.strip() or any("\ud800" <= c <= "\udfff" for c in text):
        raise argparse.ArgumentTypeError("must be UTF-8 and not empty")
    return text


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no UUID") from None


# --- serve -----------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    config.require_safe(settings)
    server = NotifyServer(settings, load_secret(settings.secret, settings.data_dir))
    try:
        before = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
        _stop_on_signals(server)
        _run(server, arguments, settings, env)
    finally:
        server.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    if server.failure is not None:
        raise NotifyError(server.failure)
    log.info("Stopped")


def _run(server: NotifyServer, arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    server.start(lambda: sql.database_url(env))
    if server.failure is not None:
        return
    if settings.legacy == "any":
        log.warning(
            "NOTIFY_LEGACY_CLIENTS=any lets anybody make this server send datagrams to "
            "addresses that did not ask for them"
        )
    log.info("Listening http=%s udp=%s", server.http_address, server.udp_address)
    _print_addresses(server, _wants_json(arguments))
    systemd.notify("READY=1\nSTATUS=Listening")
    server.wait()
    systemd.notify("STOPPING=1")
    log.info("Stopping")


def _print_addresses(server: NotifyServer, as_json: bool) -> None:
    addresses = {"http": server.http_address, "udp": server.udp_address}
    plain = f"listening http={addresses['http']} udp={addresses['udp']}"
    with suppress(OSError):  # nobody has to read it
        print(json.dumps(addresses) if as_json else plain, flush=True)


def _stop_on_signals(server: NotifyServer) -> None:
    """The first signal stops in order, the second at once."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        server.request_stop()

    for number in _STOP_SIGNALS:
        signal.signal(number, handle)


# --- administration --------------------------------------------------------------------------


def _connect(env: Env) -> sql.Connection:
    connection = sql.connect(sql.database_url(env), "mangahub-notify-admin")
    try:
        sql.require_current(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _print(arguments: argparse.Namespace, lines: list[str], body: object) -> None:
    text = [*lines, json.dumps(body)] if _wants_json(arguments) else lines
    if text and (trouble := write("\n".join(text))):
        raise NotifyError(trouble)


def _wants_json(arguments: argparse.Namespace) -> bool:
    return getattr(arguments, "json", False)


def _user_add(arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    with _connect(env) as connection:
        user = users.add_user(connection, arguments.username, arguments.email, arguments.id)
    body = {"id": str(user.id), "username": user.username}
    _print(arguments, [str(user.id)], body)


def _user_list(arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    with _connect(env) as connection:
        found = users.list_users(connection)
    body = {"users": [{"id": str(u.id), "username": u.username} for u in found]}
    _print(arguments, [f"{u.id}\t{printable(u.username)}" for u in found], body)


def _key(arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    if arguments.all and arguments.rotate:
        raise UsageError("--rotate takes one USER, not --all")
    with _connect(env) as connection:
        secret = load_secret(settings.secret, settings.data_dir)
        if arguments.all:
            keys = users.all_keys(connection, secret)
            _print(arguments, [f"{id}\t{key}" for id, key in keys.items()], keys)
            return
        user = users.find_user(connection, arguments.user)
        make_key = users.rotate_key if arguments.rotate else users.user_key
        key = make_key(connection, secret, user)
    body = {"id": str(user.id), "username": user.username, "key": key}
    _print(arguments, [key], body)


def _library_add(arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    _change_library(arguments, env, users.add_to_library)


def _library_remove(arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    _change_library(arguments, env, users.remove_from_library)


def _change_library(
    arguments: argparse.Namespace,
    env: Env,
    change: Callable[[sql.Connection, users.User, list[users.Title]], None],
) -> None:
    with _connect(env) as connection:
        user = users.find_user(connection, arguments.user)
        titles = [users.find_title(connection, text) for text in arguments.manga]
        change(connection, user, titles)
    _print_titles(arguments, user, titles)


def _library_list(arguments: argparse.Namespace, settings: Settings, env: Env) -> None:
    with _connect(env) as connection:
        user = users.find_user(connection, arguments.user)
        titles = users.list_library(connection, user)
    _print_titles(arguments, user, titles)


def _print_titles(
    arguments: argparse.Namespace, user: users.User, titles: list[users.Title]
) -> None:
    body = {"user_id": str(user.id), "manga": [{"id": t.id, "title": t.title} for t in titles]}
    _print(arguments, [f"{t.id}\t{printable(t.title)}" for t in titles], body)
