"""`user`: add and list users."""

from __future__ import annotations

import argparse
import re
from uuid import UUID

from mangahub.command_line import printable
from notify_server.commands.command import Call, Subparsers, add_command, add_group, plain_text
from readers import users


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = add_group(commands, "user", "add and list users")
    add = add_command(group, "add", "add a user without password; prints the id", _add)
    add.add_argument("username", type=_username, metavar="USERNAME")
    add.add_argument("--email", type=plain_text, help="default: USERNAME@localhost")
    add.add_argument("--id", type=_uuid, help="default: a random UUID")
    add.add_argument(
        "--admin",
        action="store_true",
        help="an operator, who sees on the website how the programs are",
    )
    add_command(group, "list", "list all users", _list)


def _add(call: Call) -> None:
    given = call.arguments
    with call.connected() as connection:
        role = "admin" if given.admin else "user"
        user = users.add_user(connection, given.username, given.email, given.id, role)
    call.print([str(user.id)], {"id": str(user.id), "username": user.username})


def _list(call: Call) -> None:
    with call.connected() as connection:
        found = users.list_users(connection)
    body = {"users": [{"id": str(u.id), "username": u.username} for u in found]}
    call.print([f"{u.id}\t{printable(u.username)}" for u in found], body)


def _username(text: str) -> str:
    if not re.fullmatch(r"\S(.{0,98}\S)?", text) or not text.isprintable():
        shown = ascii(text if len(text) <= 80 else text[:77] + "...")
        raise argparse.ArgumentTypeError(
            f"{shown} is not allowed: it must be 1 to 100 printable characters without blanks "
            "around them"
        )
    return text


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID") from None
