"""`channel`: a user's channels outside of this machine."""

from __future__ import annotations

import argparse
import sys

import sql
from notify_server.channels import testing
from notify_server.channels.failures import Receipt
from notify_server.commands.command import Call, Subparsers, add_command, add_group, plain_text
from notify_server.errors import NotifyError
from readers.channels import store
from readers.channels.addresses import TRUSTED, parse_address
from readers.channels.options import Options, parse_digest, parse_only
from readers.channels.store import Channel
from readers.users import User, find_user


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = add_group(commands, "channel", "a user's channels: chat, mail, push, webhooks")
    add = add_command(group, "add", "add a channel; of a webhook, prints the secret", _add)
    show = add_command(group, "list", "list a user's channels", _list)
    remove = add_command(group, "remove", "remove a channel", _remove)
    test = add_command(group, "test", "send a test message, to one channel or all", _test)
    pause = add_command(group, "pause", "send nothing to a channel until it is resumed", _pause)
    resume = add_command(group, "resume", "send what has waited, and what comes", _resume)
    for command in (add, show, test, remove, pause, resume):
        command.add_argument("user", type=plain_text, metavar="USER", help="username or id")
    add.add_argument(
        "address",
        type=plain_text,
        metavar="URL",
        help="as Apprise writes it, or webhook:https://…; - reads it from stdin, as an argument"
        " can be seen by other users of this machine",
    )
    _add_options(add)
    for command in (remove, pause, resume):
        command.add_argument(
            "channel", type=plain_text, metavar="CHANNEL", help="its id or address"
        )
    test.add_argument(
        "channel", nargs="?", type=plain_text, metavar="CHANNEL", help="its id or address; all"
    )


def _add_options(add: argparse.ArgumentParser) -> None:
    add.add_argument(
        "--only", default="all", metavar="KIND,…", help="new-chapter, new-manga, manga-update"
    )
    add.add_argument(
        "--digest", default="off", metavar="daily@HH:MM", help="one message a day, at this time"
    )
    add.add_argument(
        "--time-zone", default="UTC", metavar="ZONE", help="of --digest, such as Europe/Berlin"
    )
    add.add_argument(
        "--trusted",
        action="store_true",
        help="of any kind, and leading anywhere, whatever readers may add themselves",
    )


def _add(call: Call) -> None:
    given = call.arguments
    text = sys.stdin.readline() if given.address == "-" else given.address
    address = parse_address(text, TRUSTED if given.trusted else call.config.channel_policy)
    options = Options(parse_only(given.only), parse_digest(given.digest, given.time_zone))
    with call.connected() as connection:
        user = find_user(connection, given.user)
        channel, secret = store.add_channel(connection, user, address, options, given.trusted)
    lines = [f"{channel.id}\t{channel.address}"] + ([secret] if secret else [])
    call.print(lines, _body(channel) | ({"secret": secret} if secret else {}))


def _list(call: Call) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        channels = store.list_channels(connection, user)
    body = {"user_id": str(user.id), "channels": [_body(channel) for channel in channels]}
    call.print([_line(channel) for channel in channels], body)


def _test(call: Call) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        wanted = call.arguments.channel
        channels = store.list_channels(connection, user)
        if wanted is not None:
            channels = [store.find_channel(connection, user, wanted)]
        receipts = testing.test(connection, channels, call.config.channel_policy)
    body = {"user_id": str(user.id), "tests": [_result(*each) for each in receipts]}
    call.print([f"{c.id}\t{c.address}\t{r.error or 'sent'}" for c, r in receipts], body)
    if failed := sum(receipt.error is not None for _, receipt in receipts):
        raise NotifyError(f"{failed} of {len(receipts)} test messages were not accepted")


def _result(channel: Channel, receipt: Receipt) -> dict[str, object]:
    return {"id": channel.id, "address": channel.address, "error": receipt.error}


def _remove(call: Call) -> None:
    with call.connected() as connection:
        channel = _find(call, connection)[1]
        store.remove_channel(connection, channel)
    call.print([f"{channel.id}\t{channel.address}"], _body(channel))


def _pause(call: Call) -> None:
    with call.connected() as connection:
        user, channel = _find(call, connection)
        store.pause_channel(connection, channel)
        channel = store.find_channel(connection, user, str(channel.id))
    call.print([_line(channel)], _body(channel))


def _resume(call: Call) -> None:
    with call.connected() as connection:
        user, channel = _find(call, connection)
        store.resume_channel(connection, channel)
        channel = store.find_channel(connection, user, str(channel.id))
    call.print([_line(channel)], _body(channel))


def _find(call: Call, connection: sql.Connection) -> tuple[User, Channel]:
    user = find_user(connection, call.arguments.user)
    return user, store.find_channel(connection, user, call.arguments.channel)


def _line(channel: Channel) -> str:
    kinds, digest = channel.options.kinds, channel.options.digest
    words = [
        _state(channel),
        *([f"only {','.join(kinds)}"] if kinds is not None else []),
        *([f"{digest} {digest.zone}"] if digest else []),
        *(["trusted"] if channel.is_trusted else []),
    ]
    return f"{channel.id}\t{channel.address}\t{', '.join(words)}"


def _state(channel: Channel) -> str:
    if channel.paused_at is not None:
        return f"paused: {channel.last_error}" if channel.last_error else "paused"
    if channel.last_error is not None:
        return f"failing since {_shown(channel.failing_since)}: {channel.last_error}"
    return f"last message {_shown(channel.last_success_at)}" if channel.last_success_at else "new"


def _shown(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _body(channel: Channel) -> dict[str, object]:
    digest = channel.options.digest
    moments = ("created_at", "paused_at", "failing_since", "next_attempt_at", "last_success_at")
    return {
        "id": channel.id,
        "user_id": str(channel.user_id),
        "kind": channel.kind,
        "address": channel.address,
        "only": channel.options.kinds,
        "digest": str(digest) if digest else None,
        "time_zone": digest.zone if digest else None,
        "trusted": channel.is_trusted,
        **{name: _moment(getattr(channel, name)) for name in moments},
        "last_error": channel.last_error,
    }


def _moment(value: object) -> str | None:
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"
