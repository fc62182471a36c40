"""`library`: what a user reads."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import sql
from mangahub.command_line import printable
from notify_server.commands.command import Call, Subparsers, add_command, add_group, plain_text
from readers import library
from readers.users import User, find_user


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = add_group(commands, "library", "what a user reads")
    add = add_command(group, "add", "add titles", _add)
    remove = add_command(group, "remove", "remove titles", _remove)
    show = add_command(group, "list", "list a user's titles", _list)
    for command in (add, remove, show):
        command.add_argument("user", type=plain_text, metavar="USER", help="username or id")
    help_text = "title, id or MangaDex id; id:NUMBER if a title has that name too"
    for command in (add, remove):
        command.add_argument("manga", nargs="+", type=plain_text, metavar="MANGA", help=help_text)


def _add(call: Call) -> None:
    _change(call, library.add_to_library)


def _remove(call: Call) -> None:
    _change(call, library.remove_from_library)


def _change(
    call: Call, change: Callable[[sql.Connection, User, list[library.TitleRow]], None]
) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        titles = [library.find_title(connection, text) for text in call.arguments.manga]
        change(connection, user, titles)
    _print_titles(call, user, titles)


def _list(call: Call) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        titles = library.list_library(connection, user)
    _print_titles(call, user, titles)


def _print_titles(call: Call, user: User, titles: list[library.TitleRow]) -> None:
    body = {"user_id": str(user.id), "manga": [{"id": t.id, "title": t.title} for t in titles]}
    call.print([f"{t.id}\t{printable(t.title)}" for t in titles], body)
