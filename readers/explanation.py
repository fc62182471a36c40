"""Why a reader gets no notifications of a title: SQL."""

from __future__ import annotations

import sql
from readers import library, preferences
from readers.users import User

_LOOKED_AT = 20  # the newest chapters of the title


def explain(connection: sql.Connection, user: User, title: library.TitleRow) -> list[str]:
    """Return one sentence for each setting that keeps news of the title from the reader."""
    own = preferences.read(connection, user)
    here = next((each for each in own.titles if each.title.id == title.id), None)
    found = []
    in_library = "SELECT FROM user_library WHERE user_id = %s AND manga_id = %s"
    if connection.execute(in_library, [user.id, title.id]).fetchone() is None:
        found.append("the title is not in the library")
    if here is not None and here.is_muted:
        found.append("the title is muted")
    languages = here.languages if here and here.languages is not None else own.languages
    where = "for this title" if here and here.languages is not None else "for all titles"
    return found + _of_chapters(connection, title, languages, where, own.blocked_groups)


def _of_chapters(
    connection: sql.Connection,
    title: library.TitleRow,
    languages: list[str] | None,
    where: str,
    blocked: list[preferences.Group],
) -> list[str]:
    """Look at the newest chapters of the title; those without groups cannot be blocked."""
    rows = connection.execute(
        "SELECT translated_language, ARRAY(SELECT group_id FROM chapter_groups"
        "  WHERE chapter_id = chapters.id) FROM chapters WHERE manga_id = %s"
        " ORDER BY published_at DESC NULLS LAST, id DESC LIMIT %s",
        [title.id, _LOOKED_AT],
    ).fetchall()
    seen = sorted({language for language, _ in rows})
    found = []
    if languages is not None and seen and not set(seen) & set(languages):
        found.append(
            f"its newest chapters are in {', '.join(seen)}, and the languages {where} are"
            f" {', '.join(languages)}"
        )
    ids = {group.id for group in blocked}
    readable = [set(groups) for language, groups in rows if not languages or language in languages]
    if readable and all(groups and groups <= ids for groups in readable):
        names = sorted(group.name for group in blocked if any(group.id in g for g in readable))
        found.append(f"its newest chapters are all of blocked groups: {', '.join(names)}")
    return found
