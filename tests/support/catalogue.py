"""Titles, chapters and groups by SQL, for pages that show them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sql


def add_title(connection: sql.Connection, title: str, **facts: Any) -> int:
    """Add a title; facts are columns of `manga`, and `names`, `genres`, `links`."""
    names, genres = facts.pop("names", {}), facts.pop("genres", ())
    links = facts.pop("links", {})
    values = {"title": title, "slug": uuid.uuid4().hex, "mangadex_id": uuid.uuid4(), **facts}
    columns = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    query = f"INSERT INTO manga ({columns}) VALUES ({places}) RETURNING id"
    row = connection.execute(query.encode(), list(values.values())).fetchone()
    assert row is not None
    for name, language in names.items():
        connection.execute(
            "INSERT INTO manga_titles (manga_id, language, title) VALUES (%s, %s, %s)",
            (row[0], language, name),
        )
    for genre in genres:
        connection.execute(
            "WITH genre AS (INSERT INTO genres (name) VALUES (%s)"
            " ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id)"
            " INSERT INTO manga_genres (manga_id, genre_id) SELECT %s, id FROM genre",
            (genre, row[0]),
        )
    for site, id in links.items():
        connection.execute(
            "INSERT INTO manga_links (manga_id, site, external_id) VALUES (%s, %s, %s)",
            (row[0], site, id),
        )
    return int(row[0])


def add_chapter(
    connection: sql.Connection,
    manga_id: int,
    number: str,
    at: datetime,
    groups: Sequence[str] = (),
    **facts: Any,
) -> int:
    """Add a chapter; facts are columns of `chapters`."""
    values = {
        "manga_id": manga_id,
        "chapter_number": number,
        "number_scope": "",
        "translated_language": "en",
        "published_at": at,
        "mangadex_chapter_id": uuid.uuid4(),
        **facts,
    }
    columns = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    query = f"INSERT INTO chapters ({columns}) VALUES ({places}) RETURNING id"
    row = connection.execute(query.encode(), list(values.values())).fetchone()
    assert row is not None
    for name in groups:
        connection.execute(
            "WITH g AS (INSERT INTO scanlation_groups (id, name) VALUES (%s, %s) RETURNING id)"
            " INSERT INTO chapter_groups (chapter_id, group_id) SELECT %s, id FROM g",
            (uuid.uuid4(), name, row[0]),
        )
    return int(row[0])
