"""A catalogue with names and links, readers, and lists that they bring."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest

import sql
from readers.lists.importing import import_list
from readers.lists.reading import read_list
from readers.lists.report import Report
from readers.users import User, add_user


@pytest.fixture
def user(connection: sql.Connection) -> User:
    return add_user(connection, "mika", None, None)


@pytest.fixture
def add_title(connection: sql.Connection) -> Callable[..., int]:
    """`add_title("Berserk", id=…, names=["ベルセルク"], mal="2", author="…")` → its `manga.id`."""

    def add(
        title: str, *, id: object = None, names: tuple[str, ...] = (), author: str = "", **ids: str
    ) -> int:
        row = connection.execute(
            "INSERT INTO manga (slug, title, mangadex_id, author, first_synced_at)"
            " VALUES (%s, %s, %s, %s, now()) RETURNING id",
            [str(uuid.uuid4()), title, str(id or uuid.uuid4()), author],
        ).fetchone()
        assert row is not None
        for name in names:
            connection.execute("INSERT INTO manga_titles VALUES (%s, 'en', %s)", [row[0], name])
        for site, external_id in ids.items():
            connection.execute(
                "INSERT INTO manga_links (manga_id, site, external_id) VALUES (%s, %s, %s)",
                [row[0], site, external_id],
            )
        return int(row[0])

    return add


@pytest.fixture
def bring(connection: sql.Connection, user: User) -> Callable[..., Report]:
    """`bring("title\\nBerserk\\n", is_dry_run=True)` → the report of importing it for `user`."""

    def bring(content: str | bytes, **how: Any) -> Report:
        given = content.encode() if isinstance(content, str) else content
        return import_list(connection, user, read_list(io.BytesIO(given)), **how)

    return bring


@pytest.fixture
def standing(connection: sql.Connection) -> Callable[[int], tuple[Any, ...] | None]:
    """`standing(manga_id)` → status and progress there."""

    def read(manga_id: int) -> tuple[Any, ...] | None:
        return connection.execute(
            "SELECT status, current_chapter FROM user_progress WHERE manga_id = %s", [manga_id]
        ).fetchone()

    return read


@pytest.fixture
def everything(connection: sql.Connection) -> Callable[[], list[Any]]:
    """`everything()` → all that an import may write, with its times."""

    def read() -> list[Any]:
        tables = ("user_library", "user_progress", "library_settings", "import_entries")
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3".encode()).fetchall()
            for table in tables
        ]

    return read
