"""How far a reader is behind with a chapter: told to those whose progress is known."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def progress(connection: Any) -> Any:
    def note(user: str, manga: int, chapter: int) -> None:
        connection.execute(
            "INSERT INTO user_progress (user_id, manga_id, current_chapter) VALUES (%s, %s, %s)",
            [user, manga, chapter],
        )

    return note


def test_each_reader_is_told_how_far_he_is_behind_live_later_and_by_another_server(
    start_server: Any, make_client: Any, make_user: Any, make_manga: Any, progress: Any
) -> None:
    here, there = start_server(), start_server()
    known = {"one": (180, 1), "three": (178, 3), "three too": (178, 3), "all": (181, 0)}
    readers = {make_user(name): each for name, each in {**known, "ahead": (190, 0)}.items()}
    manga = make_manga("T", (*readers, stranger := make_user("no progress")))
    for user, (chapter, _) in readers.items():
        progress(user, manga, chapter)
    behind: dict[str, int | None] = {user: chapters for user, (_, chapters) in readers.items()}
    behind[stranger] = None
    live = {user: make_client(here, user) for user in behind}
    other = {user: make_client(there, user) for user in behind}
    for client in (*live.values(), *other.values()):
        client.subscribe()
    body = {"manga_id": manga, "title": "T", "chapter": 181.5, "old_chapter": 180}
    assert here.post("new-chapter", body).json()["recipients"] == len(behind)
    for user, chapters in behind.items():
        seen = live[user].receive()
        assert seen["data"].get("behind") == chapters, user
        assert other[user].receive()["data"] == seen["data"]
        later = make_client(here, user)
        later.subscribe()
        assert {**later.receive(), "session": ""} == {**seen, "session": ""}
        (row,) = here.get(f"/api/notifications?user_id={user}").json()["notifications"]
        assert row["data"] == seen["data"]


def test_nothing_is_said_of_a_chapter_without_a_number_or_a_change(
    server: Any, make_client: Any, make_user: Any, make_manga: Any, progress: Any
) -> None:
    user = make_user()
    manga = make_manga("T", (user,))
    progress(user, manga, 10)
    client = make_client(server, user)
    client.subscribe()
    server.post("new-chapter", {"manga_id": manga, "title": "T", "chapter": None})
    server.post("manga-update", {"manga_id": manga, "title": "T", "changes": ["status"]})
    assert [message["data"].get("behind") for message in client.read(2)] == [None, None]
