"""`suggest`: titles that a user may like."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from mangahub.command_line import printable
from notify_server.commands.command import Call, Subparsers, add_command, plain_text
from readers import suggestions
from readers.users import find_user


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "suggest", "titles that a user may like", _run)
    command.add_argument("user", type=plain_text, metavar="USER", help="username or id")
    command.add_argument(
        "--limit",
        type=_count,
        default=20,
        metavar="N",
        help=f"at most so many, up to {suggestions.MAX_SUGGESTIONS} (20)",
    )


def _run(call: Call) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        found = suggestions.suggest(connection, user, datetime.now(UTC), call.arguments.limit)
    body = {
        "suggestions": [
            {
                "manga_id": each.manga_id,
                "title": each.title,
                "score": each.score,
                "because": list(each.because),
            }
            for each in found
        ]
    }
    call.print([_line(each) for each in found] or [_NOTHING], body)


_NOTHING = (
    "There is nothing to suggest yet: it takes titles in libraries, or the source's figures, which"
    " mangahub-batch metadata-refresh asks for"
)


def _line(suggestion: suggestions.Suggestion) -> str:
    because = ", ".join(map(printable, suggestion.because))
    reason = f"\tlike {because}" if because else ""
    return f"{suggestion.manga_id}\t{printable(suggestion.title)}{reason}"


def _count(text: str) -> int:
    most = suggestions.MAX_SUGGESTIONS
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"{text!a} is not allowed: it must be a whole number from 1 to {most}"
    )
