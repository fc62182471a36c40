"""Whose work uploads are, and on which days they came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import sql
from batch.models import Chapter
from batch.store import releases

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWLS, DAYS = (UUID(int=1), "Night Owls"), (UUID(int=2), "Day Owls")


def an_upload(number: int, *groups: tuple[UUID, str], days_ago: float = 0) -> Chapter:
    moment = NOW - timedelta(days=days_ago)
    return Chapter(
        mangadex_chapter_id=UUID(int=number),
        manga_mangadex_id=UUID(int=9),
        translated_language="en",
        volume=None,
        number=None,
        title=None,
        external_url=None,
        pages=1,
        readable_at=moment,
        appeared_at=moment,
        groups=frozenset(group for group, _ in groups),
        uploader=None,
        is_unavailable=False,
        group_names=groups,
    )


@pytest.fixture
def manga(connection: sql.Connection) -> int:
    row = connection.execute("INSERT INTO manga (title) VALUES ('T') RETURNING id").fetchone()
    assert row
    return int(row[0])


@pytest.fixture
def credits(connection: sql.Connection, manga: int) -> Callable[[], list[tuple[Any, ...]]]:
    """Make a row of upload 1; return a function that reads the groups of all rows."""
    connection.execute(
        "INSERT INTO chapters (manga_id, chapter_number, mangadex_chapter_id) VALUES (%s, 1, %s)",
        [manga, UUID(int=1)],
    )
    query = (
        "SELECT mangadex_chapter_id, name FROM chapter_groups"
        " JOIN chapters ON chapters.id = chapter_id JOIN scanlation_groups g ON g.id = group_id"
        " ORDER BY name"
    )
    return lambda: connection.execute(query).fetchall()


def test_stored_uploads_have_their_groups(
    connection: sql.Connection, credits: Callable[[], list[tuple[Any, ...]]]
) -> None:
    releases.store_groups(connection, [an_upload(1, OWLS, DAYS), an_upload(2, OWLS)])
    assert credits() == [(UUID(int=1), "Day Owls"), (UUID(int=1), "Night Owls")]
    releases.store_groups(connection, [an_upload(1, (OWLS[0], "Owls"))])
    assert credits() == [(UUID(int=1), "Owls")]


def test_forty_groups_and_none(
    connection: sql.Connection, credits: Callable[[], list[tuple[Any, ...]]]
) -> None:
    many = [(UUID(int=n), f"Group {n}") for n in range(1, 41)]
    releases.store_groups(connection, [an_upload(1, *many)])
    assert len(credits()) == 40
    releases.store_groups(connection, [an_upload(1)])
    assert len(credits()) == 40


def test_the_last_thirteen_days_are_kept_a_language(connection: sql.Connection, manga: int) -> None:
    came = [an_upload(n + 9, days_ago=n / 2) for n in range(-4, 40)]
    releases.note_days(connection, [(manga, came[:30])], NOW)
    releases.note_days(connection, [(manga, came)], NOW)
    rows = connection.execute("SELECT released_on FROM release_days ORDER BY 1 DESC").fetchall()
    days = [NOW.date() - timedelta(days=n) for n in range(13)]
    assert [day for (day,) in rows] == days
