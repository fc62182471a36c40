"""`preferences`: what a user is notified of, and why not of a title."""

from __future__ import annotations

import argparse

import sql
from mangahub.command_line import printable
from notify_server.commands.command import Call, Subparsers, add_command, plain_text
from notify_server.errors import UsageError
from readers import explanation, library, preferences
from readers.preferences import Preferences
from readers.users import User, find_user


def add_commands(commands: Subparsers[argparse.ArgumentParser]) -> None:
    command = add_command(commands, "preferences", "show and set what a user is notified of", _run)
    command.add_argument("user", type=plain_text, metavar="USER", help="username or id")

    def option(name: str, metavar: str, text: str) -> None:
        command.add_argument(
            name, action="append", default=[], type=plain_text, metavar=metavar, help=text
        )

    command.add_argument("--languages", metavar="CODE,…", help="of chapters; or all")
    command.add_argument(
        "--title",
        type=plain_text,
        metavar="MANGA",
        help="set --languages for this title only; `default`: as for all titles",
    )
    command.add_argument("--new-titles", metavar="GENRE,…", help="or all, or none")
    option("--block-group", "GROUP", "a group's name or id; may be repeated")
    option("--unblock-group", "GROUP", "the same")
    option("--mute", "MANGA", "send nothing about a title; may be repeated")
    option("--unmute", "MANGA", "the same")
    command.add_argument(
        "--explain", metavar="MANGA", help="say why a title causes no notifications"
    )


def _run(call: Call) -> None:
    with call.connected() as connection:
        user = find_user(connection, call.arguments.user)
        with connection.transaction():
            _change(connection, user, call.arguments)
        if call.arguments.explain is not None:
            _explain(call, connection, user)
            return
        found = preferences.read(connection, user)
    call.print(_lines(found), {"user_id": str(user.id), **_body(found)})


def _change(connection: sql.Connection, user: User, given: argparse.Namespace) -> None:
    """Make all requested changes, or none."""
    if given.title is not None:
        _set_title_languages(connection, user, given.title, given.languages)
    elif given.languages is not None:
        codes = preferences.parse_languages(given.languages)
        preferences.set_languages(connection, user, codes)
    if given.new_titles is not None:
        wanted = preferences.parse_new_titles(connection, given.new_titles)
        preferences.set_new_titles(connection, user, wanted)
    for names, change in (
        (given.block_group, preferences.block_groups),
        (given.unblock_group, preferences.unblock_groups),
    ):
        if names:
            groups = [preferences.find_group(connection, name) for name in names]
            change(connection, user, groups)
    for names, muted in ((given.mute, True), (given.unmute, False)):
        titles = [library.find_title(connection, name) for name in names]
        preferences.set_muted(connection, user, titles, muted)


def _set_title_languages(
    connection: sql.Connection, user: User, name: str, languages: str | None
) -> None:
    if languages is None:
        raise UsageError("--title needs --languages CODE,… of its chapters, or `default`")
    codes = None if languages == "default" else preferences.parse_languages(languages)
    preferences.set_title_languages(connection, user, library.find_title(connection, name), codes)


def _explain(call: Call, connection: sql.Connection, user: User) -> None:
    title = library.find_title(connection, call.arguments.explain)
    reasons = explanation.explain(connection, user, title)
    lines = reasons or ["no setting holds back news of the title"]
    body = {"user_id": str(user.id), "manga_id": title.id, "reasons": reasons}
    call.print([printable(line) for line in lines], body)


def _lines(found: Preferences) -> list[str]:
    groups = ", ".join(f"{printable(group.name)} ({group.id})" for group in found.blocked_groups)
    lines = [
        f"languages\t{','.join(found.languages) if found.languages is not None else 'all'}",
        f"new titles\t{found.new_titles}",
        f"blocked groups\t{groups or 'none'}",
    ]
    for each in found.titles:
        words = ["muted"] if each.is_muted else []
        words += [f"languages {','.join(each.languages)}"] if each.languages is not None else []
        lines.append(f"{each.title.id}\t{printable(each.title.title)}\t{', '.join(words)}")
    return lines


def _body(found: Preferences) -> dict[str, object]:
    return {
        "languages": found.languages,
        "new_titles": found.new_titles,
        "blocked_groups": [{"id": str(g.id), "name": g.name} for g in found.blocked_groups],
        "titles": [
            {
                "id": each.title.id,
                "title": each.title.title,
                "muted": each.is_muted,
                "languages": each.languages,
            }
            for each in found.titles
        ],
    }
