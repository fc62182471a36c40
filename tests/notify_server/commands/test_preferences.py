"""`preferences` and `progress`, with the real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

GROUP = "5f1d2c3b-0000-4000-8000-00000000cafe"


@pytest.fixture
def ask(run: Callable[..., Any]) -> Callable[..., tuple[int, list[str], str]]:
    """`ask("preferences", "ine")` → exit code, the lines of stdout, and stderr."""

    def ask(*arguments: str) -> tuple[int, list[str], str]:
        done = run(*arguments)
        return done.code, done.stdout.splitlines(), done.stderr

    return ask


@pytest.fixture
def ine(connection: Any, make_user: Any, make_manga: Any) -> str:
    user = make_user()
    connection.execute("UPDATE users SET username = 'ine' WHERE id = %s", [user])
    make_manga("The Tin Lantern", (user,))
    connection.execute("INSERT INTO genres (name) VALUES ('Drama'), ('Slice of Life')")
    connection.execute(
        "INSERT INTO scanlation_groups VALUES (%s, 'Night Owls'), (gen_random_uuid(), 'Day Owls')",
        [GROUP],
    )
    return "ine"


def test_without_any_everything_is_told(ask: Any, ine: str) -> None:
    code, lines, _ = ask("preferences", ine)
    assert (code, lines) == (0, ["languages\tall", "new titles\tall", "blocked groups\tnone"])


def test_what_is_set_is_shown_and_can_be_taken_back(ask: Any, ine: str) -> None:
    given = ("--languages", "en, PT-BR,en", "--new-titles", "slice of life,DRAMA")
    code, lines, err = ask(
        "preferences", ine, *given, "--block-group", "night owls", "--mute", "tin"
    )  # fmt: skip
    assert (code, err) == (0, "")
    _, lines, _ = ask("preferences", ine, "--title", "tin", "--languages", "vi")
    assert lines[:3] == [
        "languages\ten,pt-br",
        "new titles\tSlice of Life,Drama",
        f"blocked groups\tNight Owls ({GROUP})",
    ]
    assert lines[3].endswith("\tThe Tin Lantern\tmuted, languages vi")
    ask("preferences", ine, "--title", "tin", "--languages", "default")
    back = ("--languages", "all", "--new-titles", "all", "--unblock-group", GROUP)
    _, lines, _ = ask("preferences", ine, *back, "--unmute", "tin")
    assert lines == ["languages\tall", "new titles\tall", "blocked groups\tnone"]


@pytest.mark.parametrize(
    ("option", "value", "code", "words"),
    [
        ("--languages", "english", 2, "'english' is not a language: it must be like en"),
        ("--languages", "en,", 2, "'' is not a language"),
        ("--languages", "qq", 2, "'qq' is not a language"),
        (
            "--new-titles",
            "Dramma",
            2,
            "'dramma' is not a genre: it must be all, none, or genres; near it: Drama",
        ),
        ("--title", "tin", 2, "--title needs --languages"),
        (
            "--block-group",
            "Night Owl Scans",
            1,
            "no group 'Night Owl Scans'; near it: 'Night Owls'",
        ),
        ("--block-group", "owls", 1, "'owls' is ambiguous, give one group by its id"),
        ("--mute", "No Such Title", 1, "no manga 'No Such Title'"),
    ],
)
def test_what_is_unknown_is_one_line_with_near_ones_and_changes_nothing(
    ask: Any, ine: str, option: str, value: str, code: int, words: str
) -> None:
    found, lines, err = ask("preferences", ine, "--unmute", "tin", option, value)
    assert (found, lines) == (code, [])
    assert words in err and err.count("\n") == 1
    assert ask("preferences", ine)[1] == [
        "languages\tall", "new titles\tall", "blocked groups\tnone",
    ]  # fmt: skip


def test_it_is_explained_why_nothing_is_told(ask: Any, ine: str, connection: Any) -> None:
    explained = ("preferences", ine, "--explain", "tin")
    assert ask(*explained)[1] == ["no setting holds back news of the title"]
    connection.execute(
        "WITH chapter AS (INSERT INTO chapters (manga_id, chapter_number, translated_language)"
        "  SELECT id, 1, 'vi' FROM manga RETURNING id)"
        " INSERT INTO chapter_groups SELECT id, %s FROM chapter",
        [GROUP],
    )
    assert ask(*explained, "--languages", "en")[1] == [
        "its newest chapters are in vi, and the languages for all titles are en"
    ]
    assert ask(*explained, "--title", "tin", "--languages", "vi", "--block-group", GROUP)[1] == [
        "its newest chapters are all of blocked groups: Night Owls"
    ]
    connection.execute("DELETE FROM user_library")
    assert ask(*explained, "--unblock-group", GROUP, "--mute", "tin")[1] == [
        "the title is not in the library", "the title is muted",
    ]  # fmt: skip


def test_progress_marks_what_is_read_up_to_it(
    ask: Any, ine: str, connection: Any, server: Any
) -> None:
    (manga,) = connection.execute("SELECT id FROM manga").fetchone()
    for chapter in (9, 10.5, 11, None):
        server.post("new-chapter", {"manga_id": manga, "title": "T", "chapter": chapter})
    assert ask("progress", ine, "tin", "10.5")[:2] == (0, ["2 notifications became read"])
    assert connection.execute("SELECT current_chapter, status FROM user_progress").fetchall() == [
        (10, "reading")
    ]
    unread = connection.execute(
        "SELECT data -> 'data' -> 'chapter' FROM notifications WHERE NOT read ORDER BY id"
    ).fetchall()
    assert unread == [(11,), (None,)]
    assert ask("progress", ine, "tin", "0")[1] == ["0 notifications became read"]


@pytest.mark.parametrize("number", ["-1", "1e9", "10.555", "ten", "999999999", "١"])
def test_a_bad_number_is_one_line(ask: Any, ine: str, number: str) -> None:
    code, _, err = ask("progress", ine, "tin", "--", number)
    assert code == 2
    assert "a number from 0 to 99999999" in err
