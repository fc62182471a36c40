"""`export`: write a user's library as a list."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress

from mangahub.command_line import write_notice
from notify_server.commands.command import Call, Subparsers, add_command, plain_text
from notify_server.errors import NotifyError, UsageError
from readers.lists.exporting import WRITERS, ExportedList, export_list
from readers.users import find_user


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "export", "write a user's library as a list", _run)
    command.add_argument("user", type=plain_text, metavar="USER", help="username or id")
    command.add_argument("--format", choices=list(WRITERS), default="csv")
    command.add_argument("--output", metavar="FILE", help="default: stdout")


def _run(call: Call) -> None:
    given = call.arguments
    if given.output is None:
        _refuse_mixture(call)
    with call.connected() as connection:
        user = find_user(connection, given.user)
        exported = export_list(connection, user, given.format)
    if exported.left_out:
        reason = "MyAnimeList" if given.format == "mal" else "MangaDex"
        write_notice(
            "mangahub-notify", f"{exported.left_out} titles without a {reason} id left out"
        )
    body = {
        "user_id": str(user.id),
        "format": given.format,
        "titles": exported.titles,
        "left_out": exported.left_out,
    }
    if given.output is not None:
        _write_file(given.output, exported)
        call.print([f"{exported.titles} titles written to {given.output}"], body)
        return
    if call.wants_json and given.format == "json":  # one object is enough
        call.print([], {**body, **json.loads(exported.content)})
        return
    _write_stdout(exported.content)
    call.print([], body)


def _refuse_mixture(call: Call) -> None:
    is_binary = call.arguments.format == "mihon"
    if is_binary and (call.wants_json or sys.stdout.isatty()):
        raise UsageError("a backup is no text: name a file by --output FILE")


def _write_file(name: str, exported: ExportedList) -> None:
    """Write the file as a whole: one that is there stays until the new one is complete.

    Raises:
        NotifyError: it cannot be written.
    """
    part = f"{name}.part"
    try:
        with open(part, "wb") as file:
            file.write(exported.content)
        os.replace(part, name)
    except (OSError, ValueError) as exc:
        with suppress(OSError, ValueError):
            os.unlink(part)
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise NotifyError(f"{name} cannot be written: {reason}") from None


def _write_stdout(content: bytes) -> None:
    """Write to stdout as it is; a reader that has gone is no error.

    Raises:
        NotifyError: it cannot be written.
    """
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as exc:
        raise NotifyError(f"the output cannot be written: {exc.strerror}") from None
