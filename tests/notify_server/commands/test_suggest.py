"""`suggest`, with the real database."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def ine(connection: Any, make_user: Any, make_manga: Any) -> str:
    user = make_user()
    connection.execute("UPDATE users SET username = 'ine' WHERE id = %s", [user])
    make_manga("The Tin Lantern", (user,))
    return "ine"


def test_suggestions_are_lines_and_json(
    run: Any, connection: Any, ine: str, make_manga: Any
) -> None:
    found = make_manga("Glass\x1b[31m Harbour")
    connection.execute("INSERT INTO genres (name) VALUES ('Drama')")
    connection.execute(
        "INSERT INTO manga_genres (manga_id, genre_id)"
        " SELECT manga.id, genres.id FROM manga, genres"
    )
    connection.execute("INSERT INTO title_popularity VALUES (%s, 3, now())", [found])
    done = run("suggest", ine)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{found}\tGlass") and "\x1b" not in done.stdout
    assert done.stdout.endswith("\tlike The Tin Lantern\n")
    assert run("suggest", ine, "--json", "--limit", "1").json == {
        "suggestions": [
            {
                "manga_id": found,
                "title": "Glass\x1b[31m Harbour",
                "score": 1.0,
                "because": ["The Tin Lantern"],
            }
        ]
    }


def test_without_any_it_says_what_it_takes(run: Any, ine: str) -> None:
    done = run("suggest", ine)
    assert done.code == 0 and "metadata-refresh" in done.stdout
    assert run("suggest", ine, "--json").json == {"suggestions": []}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "x", "٣", ""])
def test_a_limit_that_cannot_be_is_named(run: Any, ine: str, limit: str) -> None:
    done = run("suggest", ine, f"--limit={limit}")
    assert done.code == 2
    assert "must be a whole number from 1 to 100" in done.stderr


def test_an_unknown_user_is_named(run: Any, ine: str) -> None:
    done = run("suggest", "nobody", "--json")
    assert done.code == 1 and "nobody" in done.json["error"]
