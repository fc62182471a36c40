"""Titles to be stored, and what the database then has of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sql
from batch.models import Manga
from batch.store.titles import StoredPage, store_manga

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=5)


def an_id(number: int) -> UUID:
    return UUID(int=0x0D1E2F30_4152_4364_9586_000000000000 + number)


def a_title(number: int = 1, **changes: Any) -> Manga:
    usual = Manga(
        mangadex_id=an_id(number),
        title=f"Salt and Ash {number}",
        description="A kitchen.",
        author="Ine Moss",
        status="ongoing",
        total_chapters=10,
        cover_url="https://uploads.mangadex.org/covers/x/y.jpg",
        genres=("Drama", "Mystery"),
        content_rating="safe",
        numbering_restarts=False,
        created_at=NOW,
        version=3,
    )
    return replace(usual, **changes)


def store(connection: sql.Connection, *mangas: Manga, now: datetime = NOW) -> StoredPage:
    with connection.transaction():
        return store_manga(connection, mangas, now)


def row(connection: sql.Connection, number: int = 1) -> dict[str, Any]:
    found = connection.execute(
        "SELECT to_jsonb(manga) FROM manga WHERE mangadex_id = %s", [an_id(number)]
    ).fetchone()
    assert found is not None
    return dict(found[0])


def genres_of(connection: sql.Connection, number: int = 1) -> set[str]:
    rows = connection.execute(
        "SELECT genres.name FROM genres JOIN manga_genres ON genres.id = genre_id"
        " JOIN manga ON manga.id = manga_id WHERE mangadex_id = %s",
        [an_id(number)],
    )
    return {row[0] for row in rows}


def outcome(result: StoredPage) -> tuple[int, int, int, int]:
    """How many were inserted, updated, unchanged, rejected."""
    kinds = (result.inserted, result.updated, result.unchanged, result.rejected)
    return tuple(len(kind) for kind in kinds)  # type: ignore[return-value]
