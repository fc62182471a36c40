"""`import-account`: put the library of a MangaDex account into a user's library.

The login comes from the environment or is asked for on the terminal; it is used once, and neither
stored nor logged. Titles that the catalogue does not have are wanted, as those of any list.
"""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import FrameType

import sql
from batch.commands.context import Command, Context, Report, open_database
from batch.config import Config
from batch.errors import BatchError, LoginRejected, RequestRefused, SourceDown, Stopped
from batch.limits import circuit
from batch.mangadex.client import MangaDex
from batch.models import JsonObject
from batch.workers.local import new_gate
from batch.workers.worker import open_api, open_permits
from mangahub.command_line import plain_text, printable
from mangahub.env import SettingError
from readers.errors import ReadersError
from readers.lists.formats import mdlist
from readers.lists.importing import import_list
from readers.lists.reading import collect
from readers.users import User, find_user

_WHERE = "on mangadex.org under Settings, API Clients"


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """What a personal client logs in with; not shown."""

    username: str
    password: str
    client_id: str
    client_secret: str

    def form(self) -> dict[str, str]:
        """Return what the auth host is sent."""
        return {"grant_type": "password", **{name: getattr(self, name) for name in self.__slots__}}


def run(context: Context) -> Report:
    """Read the account's library in one request, and import it.

    Raises:
        BatchError: there is no such user, or the library is no list.
        SettingError: a part of the login is missing, and there is no terminal to ask on.
        LoginRejected: MangaDex does not take the login, or ended it.
        SourceDown, Stopped, SqlError: nothing was imported.
    """
    with open_database(sql.database_url(context.env)) as connection:
        user = _find_user(connection, context.arguments.user)
        login = _read_login(context.config)
        statuses = _read_library(context, connection, login)
        try:
            read = collect("mdlist", mdlist.read_document(statuses))
            report = import_list(connection, user, read)
        except ReadersError as exc:
            raise BatchError(str(exc)) from exc
    data = {"status": "completed", "user_id": str(user.id), **report.as_json()}
    lines = [printable(line, keep="\t") for line in report.as_lines()]
    if report.counts["wanted"]:
        lines.append("what is wanted comes with the next run of mangahub-batch fetch-wanted")
    return Report(data, lines)


def _find_user(connection: sql.Connection, text: str) -> User:
    try:
        return find_user(connection, text)
    except ReadersError as exc:
        raise BatchError(str(exc)) from exc


# --- what is asked of MangaDex -------------------------------------------------------------------


def _read_library(context: Context, connection: sql.Connection, login: Login) -> JsonObject:
    config = context.config
    with _client(context, connection, config) as api:
        circuit.admit(connection, api.probe, datetime.now(UTC))
    # The auth host has a budget of its own: it may fail while the API works.
    auth = replace(config, api_url=config.auth_url, api_key=None)
    with _client(context, connection, auth) as api:
        token = _log_in(api, login)
    with _client(context, connection, replace(config, api_key=token)) as api:
        return _list_statuses(connection, api)


@contextmanager
def _client(context: Context, connection: sql.Connection, config: Config) -> Iterator[MangaDex]:
    permits = open_permits(config, new_gate(config), "main", context.stop, lambda: connection)
    api = open_api(config, permits)
    try:
        yield api
    finally:
        api.close()


def _log_in(api: MangaDex, login: Login) -> str:
    try:
        return api.log_in(login.form())
    except RequestRefused as exc:
        if "invalid_grant" in str(exc):
            raise LoginRejected("MangaDex does not accept this name and password") from exc
        if "client" in str(exc):
            why = "its id or secret is wrong, or it is not approved yet"
            raise LoginRejected(
                f"MangaDex does not accept the client: {why}; see {_WHERE}"
            ) from exc
        raise LoginRejected(f"MangaDex does not accept the login: {exc}") from exc


def _list_statuses(connection: sql.Connection, api: MangaDex) -> JsonObject:
    try:
        return api.list_statuses()
    except RequestRefused as exc:
        if exc.status in (401, 403):
            ended = "the login ended before the library was read: run it again"
            raise LoginRejected(f"{ended} ({exc})") from exc
        raise
    except SourceDown as exc:
        circuit.note_failure(connection, exc, datetime.now(UTC))
        raise


# --- the login -----------------------------------------------------------------------------------


def _read_login(config: Config) -> Login:
    """Return what the environment has, and ask for the rest."""
    return Login(
        config.username or _ask("MANGADEX_USERNAME", "MangaDex name: ", _read_line),
        config.password or _ask("MANGADEX_PASSWORD", "Password: ", _read_hidden),
        config.client_id or _ask("MANGADEX_CLIENT_ID", "Client id: ", _read_line),
        config.client_secret or _ask("MANGADEX_CLIENT_SECRET", "Client secret: ", _read_hidden),
    )


def _ask(variable: str, prompt: str, read: Callable[[str], str]) -> str:
    if not sys.stdin.isatty():
        raise SettingError(variable, "", "set, as there is no terminal to ask for it")
    with _interruptible():
        answer = read(prompt)
    if not answer:
        raise SettingError(variable, "", "set, or given on the terminal")
    return answer


def _read_line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _read_hidden(prompt: str) -> str:
    with suppress(EOFError):
        return getpass.getpass(prompt, sys.stderr)
    return ""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let signals end a question at once: the run's own handler waits for what is in flight."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    before = {each: signal.signal(each, leave) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", type=plain_text, metavar="USER", help="username or id")


COMMAND = Command(
    "import-account", "put a MangaDex account's library into a user's", run, _add_arguments
)
