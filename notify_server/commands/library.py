"""`library`: what a user reads."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import sql
from mangahub.command_line import printable
from notify_server.commands.command import Call, Subparsers, add_command, add_group, plain_text
from readers import library, moves
from readers.errors import NotFound
from readers.users import User, find_user


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = add_group(commands, "library", "what a user reads")
    add = add_command(group, "add", "add titles", _add)
    remove = add_command(group, "remove", "remove titles", _remove)
    show = add_command(group, "list", "list a user's titles", _list)
    move = add_command(
        group, "move", "let a title take another's place, as one that is gone", _move
    )
    for command in (add, remove, show, move):
        command.add_argument("user", type=plain_text, metavar="USER", help="username or id")
    move.add_argument("old", type=plain_text, metavar="OLD", help="the title to be moved")
    move.add_argument(
        "new", nargs="?", type=plain_text, metavar="NEW", help="default: as library list offers"
    )
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
        gone = library.list_gone(connection, user)
        successors = moves.find_successors(connection, user) if gone else {}
    lines = [_line(t) + (_gone_text(successors.get(t.id)) if t.id in gone else "") for t in titles]
    shown = [
        _as_json(t) | (_gone_json(successors.get(t.id)) if t.id in gone else {}) for t in titles
    ]
    call.print(lines, {"user_id": str(user.id), "manga": shown})


def _gone_text(successor: moves.Successor | None) -> str:
    if successor is None:
        return "\tgone at MangaDex"
    new = f"id:{successor.new_id} {printable(successor.title)}"
    return f"\tgone at MangaDex, may be {new} now ({successor.why}): library move"


def _gone_json(successor: moves.Successor | None) -> dict[str, object]:
    found = successor and {
        "id": successor.new_id,
        "title": successor.title,
        "why": successor.why,
    }
    return {"gone": True, "successor": found}


def _move(call: Call) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        old = library.find_title(connection, call.arguments.old)
        if call.arguments.new is not None:
            new = library.find_title(connection, call.arguments.new)
        elif found := moves.find_successors(connection, user).get(old.id):
            new = library.TitleRow(found.new_id, found.title)
        else:
            raise NotFound(f"{old.title!r} has no one successor that is known: name it")
        moves.move(connection, user, old.id, new.id)
    _print_titles(call, user, [new])


def _print_titles(call: Call, user: User, titles: list[library.TitleRow]) -> None:
    body = {"user_id": str(user.id), "manga": [_as_json(t) for t in titles]}
    call.print([_line(t) for t in titles], body)


def _line(title: library.TitleRow) -> str:
    return f"{title.id}\t{printable(title.title)}"


def _as_json(title: library.TitleRow) -> dict[str, object]:
    return {"id": title.id, "title": title.title}
