"""`key`: print users' keys, and make new ones."""

from __future__ import annotations

import argparse

from mangahub.secret import load_secret
from notify_server.commands.command import Call, Subparsers, add_command, plain_text
from notify_server.errors import UsageError
from readers import keys, users


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    key = add_command(commands, "key", "print a user's key", _key)
    who = key.add_mutually_exclusive_group(required=True)
    who.add_argument("user", nargs="?", type=plain_text, metavar="USER", help="username or id")
    who.add_argument("--all", action="store_true", help="the keys of all users")
    key.add_argument(
        "--rotate", action="store_true", help="make a new key, which invalidates the old one"
    )


def _key(call: Call) -> None:
    given = call.arguments
    if given.all and given.rotate:
        raise UsageError("--rotate takes one USER, not --all")
    with call.connected() as connection:
        secret = load_secret(call.config.secret, call.config.data_dir)
        if given.all:
            found = keys.all_keys(connection, secret)
            call.print([f"{id}\t{key}" for id, key in found.items()], found)
            return
        user = users.find_user(connection, given.user)
        make_key = keys.rotate_key if given.rotate else keys.user_key
        key = make_key(connection, secret, user)
    call.print([key], {"id": str(user.id), "username": user.username, "key": key})
