"""`key`: print users' keys, make new ones, and links that sign in to the website."""

from __future__ import annotations

import argparse
import logging

import sql
from mangahub import website_address
from mangahub.secret import load_secret
from notify_server.commands.command import Call, Subparsers, add_command, plain_text
from notify_server.errors import UsageError
from readers import keys, sign_in_links, users

log = logging.getLogger(__name__)


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    key = add_command(commands, "key", "print a user's key", _key)
    who = key.add_mutually_exclusive_group(required=True)
    who.add_argument("user", nargs="?", type=plain_text, metavar="USER", help="username or id")
    who.add_argument("--all", action="store_true", help="the keys of all users")
    how = key.add_mutually_exclusive_group()
    how.add_argument(
        "--rotate",
        action="store_true",
        help="make a new key, which invalidates the old one and ends the user's sessions",
    )
    how.add_argument(
        "--link",
        action="store_true",
        help="print a link instead that signs the user in to the website once, within "
        f"{sign_in_links.VALID_MINUTES} minutes",
    )


def _key(call: Call) -> None:
    given = call.arguments
    if given.all and (given.rotate or given.link):
        raise UsageError(f"{'--rotate' if given.rotate else '--link'} takes one USER, not --all")
    with call.connected() as connection:
        if given.link:
            _print_link(call, connection)
        else:
            _print_keys(call, connection)


def _print_keys(call: Call, connection: sql.Connection) -> None:
    given = call.arguments
    secret = load_secret(call.config.secret, call.config.data_dir)
    if given.all:
        found = keys.all_keys(connection, secret)
        call.print([f"{id}\t{key}" for id, key in found.items()], found)
        return
    user = users.find_user(connection, given.user)
    make_key = keys.rotate_key if given.rotate else keys.user_key
    key = make_key(connection, secret, user)
    call.print([key], {"id": str(user.id), "username": user.username, "key": key})


def _print_link(call: Call, connection: sql.Connection) -> None:
    url, is_known = website_address.find_url(call.env, call.config.data_dir)
    user = users.find_user(connection, call.arguments.user)
    link = f"{url}/sign-in/{sign_in_links.make_link(connection, user)}"
    if not is_known:
        log.warning("The website does not run here, and WEB_URL is not set: the link may be wrong")
    call.print([link], {"id": str(user.id), "username": user.username, "link": link})
