"""`import`: put the titles of a list into a user's library."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from mangahub.command_line import printable
from notify_server.commands.command import Call, Subparsers, add_command, plain_text
from readers.errors import UnreadableList
from readers.lists import importing, similarity
from readers.lists.entries.entry import Entry, Ignored
from readers.lists.reading import AUTO, READERS, ReadList, collect, read_list
from readers.lists.report import Report
from readers.users import find_user

_STDIN = "-"


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "import", "add the titles of a list to a user's library", _run)
    command.add_argument("user", type=plain_text, metavar="USER", help="username or id")
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="a list, may be packed by gzip; - for stdin"
    )
    command.add_argument(
        "--format", choices=[AUTO, *READERS], default=AUTO, help="default: by the file's content"
    )
    command.add_argument("--dry-run", action="store_true", help="show what would be done")


def _run(call: Call) -> None:
    given = call.arguments
    with call.connected() as connection:
        user = find_user(connection, given.user)
        read = _read_all(given.files, given.format)
        report = importing.import_list(connection, user, read, is_dry_run=given.dry_run)
    call.print(_lines(report), {"user_id": str(user.id), **report.as_json()})


def _read_all(names: list[str], format: str) -> ReadList:
    """Read all files or none; the same title in several is one entry."""
    lists = [_read(name, format) for name in names]
    items: list[Entry | Ignored] = [entry for each in lists for entry in each.entries]
    merged = collect(",".join(dict.fromkeys(each.format for each in lists)), items)
    ignored = sum((each.ignored for each in lists), Counter[str]())
    return ReadList(merged.format, merged.entries, ignored)


def _read(name: str, format: str) -> ReadList:
    try:
        if name == _STDIN:
            return read_list(sys.stdin.buffer, format)
        with open(name, "rb") as file:
            return read_list(file, format)
    except UnreadableList as exc:
        raise UnreadableList(f"{name}: {exc}") from None
    except (OSError, ValueError) as exc:  # a name may hold a NUL
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise UnreadableList(f"{name} cannot be read: {reason}") from None


def _lines(report: Report) -> list[str]:
    lines = ["nothing was changed: this was a dry run"] if report.is_dry_run else []
    lines += [printable(line, keep="\t") for line in report.as_lines()]
    if not similarity.IS_INSTALLED:
        lines.append("note\tonly equal names match: install the extra `lists` for similar ones")
    if any(report.counts[state] for state in ("doubtful", "unmatched", "wanted")):
        lines.append("what is not matched is kept, tried again, and shown on /me/import")
    return lines
