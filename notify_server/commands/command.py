"""What the commands share: their declaration, the database, and their output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sql
from mangahub.command_line import plain_text as plain_text  # the commands take it from here
from mangahub.command_line import write
from mangahub.env import Env
from notify_server.config import Config
from notify_server.errors import NotifyError

Subparsers = argparse._SubParsersAction  # argparse has no public name for it


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the program: the arguments, and the settings."""

    arguments: argparse.Namespace
    config: Config
    env: Env

    @property
    def wants_json(self) -> bool:
        return wants_json(self.arguments)

    @contextmanager
    def connected(self) -> Iterator[sql.Connection]:
        """Open a connection to a database with the current schema.

        Raises:
            sql.SqlError: it cannot be reached, or its schema is not current.
        """
        with sql.connect(sql.database_url(self.env), "mangahub-notify-admin") as connection:
            sql.require_current(connection)
            yield connection

    def print(self, lines: list[str], body: object) -> None:
        """Print the lines, and with `--json` the body as the last one.

        Raises:
            NotifyError: the output cannot be written.
        """
        lines = [*lines, json.dumps(body)] if self.wants_json else lines
        if lines and (error := write(*lines)):
            raise NotifyError(error)


def wants_json(arguments: argparse.Namespace) -> bool:
    return getattr(arguments, "json", False)


def add_group(
    commands: Subparsers[argparse.ArgumentParser], name: str, text: str
) -> Subparsers[argparse.ArgumentParser]:
    """Add a command that has commands of its own."""
    group = commands.add_parser(name, help=text, description=text)
    return group.add_subparsers(metavar="COMMAND", required=True)


def add_command(
    commands: Subparsers[argparse.ArgumentParser],
    name: str,
    text: str,
    run: Callable[[Call], None],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    add_json(command)
    return command


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="make the last line of stdout one JSON object",
    )
