"""`progress`: up to which chapter a user has read a title."""

from __future__ import annotations

import argparse
import re
from decimal import Decimal

from notify_server.commands.command import Call, Subparsers, add_command, plain_text
from readers import library
from readers.progress import set_progress
from readers.users import find_user

_MOST = 99_999_999


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "progress", "set how far a user has read a title", _run)
    command.add_argument("user", type=plain_text, metavar="USER", help="username or id")
    command.add_argument("manga", type=plain_text, metavar="MANGA", help="title, id or MangaDex id")
    command.add_argument("number", type=_number, metavar="NUMBER", help="the last chapter read")


def _run(call: Call) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        title = library.find_title(connection, call.arguments.manga)
        count = set_progress(connection, user, title, call.arguments.number)
    body = {"user_id": str(user.id), "manga_id": title.id, "became_read": count}
    call.print([f"{count} notifications became read"], body)


def _number(text: str) -> Decimal:
    if re.fullmatch(r"\d{1,8}(\.\d{1,2})?", text, re.ASCII):
        return Decimal(text)
    allowed = f"a number from 0 to {_MOST} with at most two decimals"
    raise argparse.ArgumentTypeError(f"{text!a} is not allowed: it must be {allowed}")
