"""Who is told of an event: readers of the title who want to hear of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

A, B = str(UUID(int=1)), str(UUID(int=2))


@pytest.fixture
def told(server: Any, connection: Any, make_user: Any, make_manga: Any) -> Any:
    """`told("new-chapter", {…}, languages=["en"])` → whether a reader with this is told."""

    def told(kind: str, body: dict[str, Any], **preferences: Any) -> bool:
        user = make_user()
        manga = make_manga("A Title", (user,))
        genres = preferences.pop("genres", ())
        here = {name: preferences.pop(name, None) for name in ("muted", "here")}
        for name in genres:
            connection.execute(
                "WITH genre AS (INSERT INTO genres (name) VALUES (%s) RETURNING id)"
                " INSERT INTO manga_genres (manga_id, genre_id) SELECT %s, id FROM genre",
                [name, manga],
            )
        for column, value in preferences.items():
            connection.execute(
                f"INSERT INTO reader_preferences (user_id, {column}) VALUES (%s, %s)"
                f" ON CONFLICT (user_id) DO UPDATE SET {column} = excluded.{column}",
                [user, value],
            )
        connection.execute(
            "INSERT INTO library_settings (user_id, manga_id, muted, languages)"
            " VALUES (%s, %s, coalesce(%s, false), %s)",
            [user, manga, here["muted"], here["here"]],
        )
        answer = server.post(kind, {"manga_id": manga, "title": "T", **body})
        assert answer.status_code == 202, answer.text
        return bool(answer.json()["recipients"])

    return told


def by(*groups: str) -> list[dict[str, str]]:
    return [{"id": group, "name": "Some Group"} for group in groups]


EN, VI = {"chapter": 1, "language": "en"}, {"chapter": 1, "language": "vi"}


@pytest.mark.parametrize(
    ("body", "preferences", "is_told"),
    [
        pytest.param(VI, {}, True, id="no preferences"),
        pytest.param(VI, {"languages": ["en"]}, False, id="another language"),
        pytest.param(EN, {"languages": ["vi", "en"]}, True, id="one of the languages"),
        pytest.param({"chapter": 1}, {"languages": ["en"]}, True, id="no language is named"),
        pytest.param(VI, {"languages": ["en"], "here": ["vi"]}, True, id="this title's language"),
        pytest.param(EN, {"languages": ["en"], "here": ["vi"]}, False, id="not this title's"),
        pytest.param(EN, {"muted": True}, False, id="muted"),
        pytest.param(EN | {"groups": by(A)}, {"blocked_groups": [A]}, False, id="blocked"),
        pytest.param(EN | {"groups": by(A, B)}, {"blocked_groups": [A]}, True, id="one is not"),
        pytest.param(EN | {"groups": by(A, B)}, {"blocked_groups": [B, A]}, False, id="both"),
        pytest.param(EN | {"groups": []}, {"blocked_groups": [A]}, True, id="no groups"),
        pytest.param(EN, {"blocked_groups": [A]}, True, id="groups are not named"),
        pytest.param(
            {"chapter": 2, "items": [{**EN, "groups": by(A)}, {**EN, "groups": by(B)}]},
            {"blocked_groups": [A]}, True, id="one of several uploads is not blocked",
        ),
        pytest.param(
            {"chapter": 2, "items": [{**EN, "groups": by(A)}, {**EN, "groups": by(A, B)}]},
            {"blocked_groups": [A, B]}, False, id="all of several are blocked",
        ),
        pytest.param({"chapter": 2, "items": [VI, VI]}, {"languages": ["en"]}, False, id="items"),
    ],
)  # fmt: skip
def test_readers_are_told_of_chapters_that_they_want(
    told: Any, body: dict[str, Any], preferences: dict[str, Any], is_told: bool
) -> None:
    assert told("new-chapter", body, **preferences) is is_told


@pytest.mark.parametrize(
    ("preferences", "is_told"),
    [
        ({"languages": ["en"]}, True),
        ({"blocked_groups": [str(uuid4())]}, True),
        ({"muted": True}, False),
    ],
)
def test_changes_of_a_title_are_told_unless_it_is_muted(
    told: Any, preferences: dict[str, Any], is_told: bool
) -> None:
    assert told("manga-update", {"changes": ["status"]}, **preferences) is is_told


@pytest.mark.parametrize(
    ("body", "preferences", "is_told"),
    [
        pytest.param({}, {}, True, id="no preferences"),
        pytest.param({}, {"new_titles": "all"}, True, id="all"),
        pytest.param({"genres": ["Drama"]}, {"new_titles": "none"}, False, id="none"),
        pytest.param({"genres": ["Drama"]}, {"new_titles": "Horror,Drama"}, True, id="a genre"),
        pytest.param({"genres": ["Slice of Life"]}, {"new_titles": "slice of life"}, True,
                     id="in another case"),
        pytest.param({"genres": ["Drama"]}, {"new_titles": "Horror"}, False, id="another genre"),
        pytest.param({}, {"new_titles": "Horror", "genres": ["Horror"]}, True, id="stored ones"),
    ],
)  # fmt: skip
def test_new_titles_are_told_to_whom_they_interest(
    told: Any, body: dict[str, Any], preferences: dict[str, Any], is_told: bool
) -> None:
    assert told("new-manga", body, **preferences) is is_told
