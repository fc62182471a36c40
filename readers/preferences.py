"""A reader's preferences: SQL. Storing an event selects its recipients by them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sql
from readers import library
from readers.errors import InvalidPreference, NotFound
from readers.users import User

_MAX_SHOWN = 10
# ISO 639-1; the API adds a country or script to some (pt-br, zh-hk, ja-ro).
_LANGUAGES = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu "
    "cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi "
    "ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks "
    "ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl "
    "nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl "
    "sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve "
    "vi vo wa wo xh yi yo za zh zu".split()
)


@dataclass(frozen=True, slots=True)
class Group:
    """A scanlation group."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class TitleSetting:
    """What a reader has set for one title; no languages means those of all titles."""

    title: library.TitleRow
    is_muted: bool
    languages: list[str] | None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a reader has set.

    Attributes:
        languages: None for every language.
        new_titles: `all`, `none`, or genres between commas.
    """

    languages: list[str] | None
    blocked_groups: list[Group]
    new_titles: str
    titles: list[TitleSetting]


def read(connection: sql.Connection, user: User) -> Preferences:
    row = connection.execute(
        "SELECT languages, new_titles FROM reader_preferences WHERE user_id = %s", [user.id]
    ).fetchone()
    groups = connection.execute(
        "SELECT blocked.id, coalesce(name, blocked.id::text) FROM reader_preferences,"
        " unnest(blocked_groups) AS blocked (id) LEFT JOIN scanlation_groups USING (id)"
        " WHERE user_id = %s ORDER BY 2",
        [user.id],
    ).fetchall()
    titles = connection.execute(
        "SELECT manga.id, manga.title, muted, languages FROM library_settings"
        " JOIN manga ON manga.id = manga_id WHERE user_id = %s AND (muted OR languages IS NOT NULL)"
        " ORDER BY manga.title, manga.id",
        [user.id],
    ).fetchall()
    languages, new_titles = row or (None, "all")
    return Preferences(
        languages,
        [Group(*group) for group in groups],
        new_titles,
        [TitleSetting(library.TitleRow(id, name), muted, own) for id, name, muted, own in titles],
    )


def set_languages(connection: sql.Connection, user: User, languages: list[str] | None) -> None:
    """Set the languages of chapters that a reader is notified of; None for every language."""
    _set(connection, user, "languages", languages)


def set_new_titles(connection: sql.Connection, user: User, new_titles: str) -> None:
    """Set the new titles that a reader is notified of; see `parse_new_titles`."""
    _set(connection, user, "new_titles", new_titles)


def block_groups(connection: sql.Connection, user: User, groups: Sequence[Group]) -> None:
    _change_groups(connection, user, "array(SELECT DISTINCT unnest(blocked_groups || %s))", groups)


def unblock_groups(connection: sql.Connection, user: User, groups: Sequence[Group]) -> None:
    change = "array(SELECT unnest(blocked_groups) EXCEPT SELECT unnest(%s))"
    _change_groups(connection, user, change, groups)


def set_muted(
    connection: sql.Connection, user: User, titles: Sequence[library.TitleRow], muted: bool
) -> None:
    connection.execute(
        "INSERT INTO library_settings (user_id, manga_id, muted)"
        " SELECT %s, id, %s FROM unnest(%s::bigint[]) AS wanted (id)"
        " ON CONFLICT (user_id, manga_id) DO UPDATE SET muted = excluded.muted",
        [user.id, muted, [title.id for title in titles]],
    )


def set_title_languages(
    connection: sql.Connection, user: User, title: library.TitleRow, languages: list[str] | None
) -> None:
    """Set the languages of one title; None for those of all titles."""
    connection.execute(
        "INSERT INTO library_settings (user_id, manga_id, languages) VALUES (%s, %s, %s)"
        " ON CONFLICT (user_id, manga_id) DO UPDATE SET languages = excluded.languages",
        [user.id, title.id, languages],
    )


def _set(connection: sql.Connection, user: User, column: str, value: object) -> None:
    connection.execute(
        f"INSERT INTO reader_preferences (user_id, {column}) VALUES (%s, %s)"
        f" ON CONFLICT (user_id) DO UPDATE SET {column} = excluded.{column}".encode(),
        [user.id, value],
    )


def _change_groups(
    connection: sql.Connection, user: User, change: str, groups: Sequence[Group]
) -> None:
    connection.execute(
        "INSERT INTO reader_preferences (user_id) VALUES (%s) ON CONFLICT DO NOTHING", [user.id]
    )
    connection.execute(
        f"UPDATE reader_preferences SET blocked_groups = {change} WHERE user_id = %s".encode(),
        [[group.id for group in groups], user.id],
    )


# --- what is named -----------------------------------------------------------------------------


def parse_languages(text: str) -> list[str] | None:
    """Return language codes; None for `all`.

    Raises:
        InvalidPreference: one is no language of the API.
    """
    if text.strip().lower() == "all":
        return None
    codes = list(dict.fromkeys(code.strip().lower() for code in text.split(",")))
    for code in codes:
        if not re.fullmatch(r"[a-z]{2}(-[a-z]{2})?", code) or code[:2] not in _LANGUAGES:
            near = difflib.get_close_matches(code, _LANGUAGES, 5, 0.3)
            hint = f"; near it: {', '.join(sorted(near))}" if near else ""
            raise InvalidPreference(
                f"{code!r} is not a language: it must be like en or pt-br, or all{hint}"
            )
    return codes


def parse_new_titles(connection: sql.Connection, text: str) -> str:
    """Return `all`, `none`, or the names of genres between commas.

    Raises:
        InvalidPreference: there is no such genre.
    """
    if text.strip().lower() in ("all", "none"):
        return text.strip().lower()
    rows = connection.execute("SELECT name FROM genres ORDER BY name").fetchall()
    known = {name.lower(): name for (name,) in rows}
    wanted = [name.strip().lower() for name in text.split(",")]
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, 5, 0.5) or list(known)[:_MAX_SHOWN]
            shown = ", ".join(known[each] for each in near)
            raise InvalidPreference(
                f"{name!r} is not a genre: it must be all, none, or genres; near it: {shown}"
            )
    return ",".join(dict.fromkeys(known[name] for name in wanted))


def find_group(connection: sql.Connection, text: str) -> Group:
    """Find a group by id, name, or a part of exactly one name.

    Raises:
        NotFound: there is none, or several, which are listed then.
    """
    with_id = "SELECT id, name FROM scanlation_groups WHERE {} ORDER BY length(name), id LIMIT 11"
    for condition in (
        "id::text = lower(%(text)s)",
        "lower(name) = lower(%(text)s)",
        "position(lower(%(text)s) IN lower(name)) > 0",
    ):
        rows = connection.execute(with_id.format(condition).encode(), {"text": text}).fetchall()
        if len(rows) == 1:
            return Group(*rows[0])
        if rows:
            shown = ", ".join(f"{id} {name!r}" for id, name in rows[:_MAX_SHOWN])
            raise NotFound(f"{text!r} is ambiguous, give one group by its id: {shown}")
    names = [name for (name,) in connection.execute("SELECT name FROM scanlation_groups")]
    near = difflib.get_close_matches(text, names, 5, 0.5)
    hint = f"; near it: {', '.join(map(repr, near))}" if near else ""
    raise NotFound(f"there is no group {text!r}{hint}")
