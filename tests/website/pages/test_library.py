"""The library: following by name or address, muting, progress."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

import sql
from readers import library, preferences
from readers.users import User, add_user
from tests.support.website import RunningSite
from website.rules.titles import name_of_title
from website.store import library as store

BLUE = UUID(int=7)


def add_title(connection: sql.Connection, title: str, *followers: User, **columns: Any) -> int:
    row = connection.execute(
        "INSERT INTO manga (title, slug, mangadex_id) VALUES (%s, gen_random_uuid()::text, %s)"
        " RETURNING id",
        [title, columns.get("mangadex_id")],
    ).fetchone()
    assert row
    for user in followers:
        library.add_to_library(connection, user, [library.TitleRow(row[0], title)])
    return int(row[0])


def add_chapters(connection: sql.Connection, manga: int, *numbers: str, **columns: Any) -> None:
    for number in numbers:
        connection.execute(
            "INSERT INTO chapters (manga_id, chapter_number, translated_language, published_at)"
            " VALUES (%s, %s, %s, now())",
            [manga, number, columns.get("language", "en")],
        )


def names(connection: sql.Connection, user: User) -> list[str]:
    return [row.title for row in library.list_library(connection, user)]


@pytest.mark.parametrize(
    "text",
    [
        "Blue Lantern",
        "blue lan",
        " Blue Lantern ",
        "{id}",
        "id:{id}",
        f"{BLUE}",
        f"https://mangadex.org/title/{BLUE}/blue-lantern?tab=chapters",
        "http://127.0.0.1/titles/{id}-blue-lantern",
    ],
)
def test_a_title_is_followed_by_whatever_names_it(
    website: RunningSite, connection: sql.Connection, mika: User, text: str
) -> None:
    manga = add_title(connection, "Blue Lantern", mangadex_id=BLUE)
    visitor = website.visitor(mika)
    answer = visitor.post("/me/library/add", "/me/library", title=text.format(id=manga))
    assert answer.status_code == 303
    assert names(connection, mika) == ["Blue Lantern"]
    page = re.sub(r"\s+", " ", visitor.get(answer.headers["Location"]).text)
    assert "<bdi>Blue Lantern</bdi> is in your library. You are told of its chapters" in page
    again = visitor.post("/me/library/add", "/me/library", title="Blue Lantern")
    assert "was in your library already" in visitor.get(again.headers["Location"]).text


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("", 400, "Write a title"),
        (" \x00", 400, "Write a title"),
        ("Unheard of", 404, "There is no manga"),
        ("blue", 404, "is ambiguous"),
        ("<script>alert(1)</script>", 404, "&lt;script&gt;"),
    ],
)
def test_what_names_no_title_is_told(
    website: RunningSite,
    connection: sql.Connection,
    mika: User,
    text: str,
    status: int,
    words: str,
) -> None:
    add_title(connection, "Blue Sea")
    add_title(connection, "Blue Sky")
    answer = website.visitor(mika).post("/me/library/add", "/me/library", title=text)
    assert answer.status_code == status and words in answer.text
    assert names(connection, mika) == []


@pytest.mark.parametrize("text", ["https://[x", "http://a/b", "id:5", "x", "ftp://a/titles/5"])
def test_what_is_no_address_of_a_title_stays_as_it_is(text: str) -> None:
    assert name_of_title(text) == text


def test_the_library_says_how_far_the_reader_is(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    blue = add_title(connection, "Blue", mika)
    add_chapters(connection, blue, "180", "181", "181.5")
    add_chapters(connection, blue, "190", language="vi")
    preferences.set_languages(connection, mika, ["en"])
    visitor = website.visitor(mika)
    page = visitor.get("/me/library").text
    assert "ch. 181.5" in page and "behind" not in page
    visitor.post("/me/library/progress", "/me/library", manga=blue, number="180")
    assert "you are 2 behind" in visitor.get("/me/library").text
    visitor.post("/me/library/progress", "/me/library", manga=blue, number="182")
    assert "you are up to date" in visitor.get("/me/library").text


def test_a_title_is_muted_and_told_of_again(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    blue = add_title(connection, "Blue", mika)
    visitor = website.visitor(mika)
    for muted in (True, False):
        value = "1" if muted else "0"
        answer = visitor.post("/me/library/mute", "/me/library", manga=blue, muted=value)
        assert answer.headers["Location"].endswith(f"&manga={blue}#t-{blue}")
        assert [each.is_muted for each in store.list_followed(connection, mika.id)] == [muted]


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("progress", {"manga": "{id}", "number": "x"}, 400),
        ("progress", {"manga": "{id}", "number": "-1"}, 400),
        ("progress", {"manga": "{id}", "number": "1e5"}, 400),
        ("progress", {"manga": "{id}", "number": "9999999"}, 400),
        ("progress", {"manga": "x", "number": "1"}, 400),
        ("progress", {"manga": "999", "number": "1"}, 404),
        ("mute", {"manga": "", "muted": "1"}, 400),
        ("mute", {"manga": "999999999999999999", "muted": "1"}, 404),
    ],
)
def test_a_form_that_makes_no_sense_changes_nothing(
    website: RunningSite,
    connection: sql.Connection,
    mika: User,
    path: str,
    fields: dict[str, str],
    status: int,
) -> None:
    blue = add_title(connection, "Blue", mika)
    given = {name: value.format(id=blue) for name, value in fields.items()}
    answer = website.visitor(mika).post(f"/me/library/{path}", "/me/library", **given)
    assert answer.status_code == status
    (row,) = store.list_followed(connection, mika.id)
    assert (row.is_muted, row.progress) == (False, None)


def test_a_library_is_paged_and_the_latest_comes_first(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    for n in range(60):
        add_title(connection, f"T{n:02}", mika)
    add_chapters(connection, add_title(connection, "Zebra", mika), "1")
    visitor = website.visitor(mika)
    first = visitor.get("/me/library").text
    shown = re.findall(r"<bdi>(T\d\d|Zebra)</bdi></a>", first)
    assert shown == ["Zebra", *(f"T{n:02}" for n in range(49))]
    following = re.search(r'href="(/me/library\?after=\d+)" rel="next"', first)
    assert following
    page = visitor.get(following[1]).text
    assert re.findall(r"<bdi>(T\d\d)</bdi></a>", page) == [f"T{n:02}" for n in range(49, 60)]


def test_an_empty_library_offers_what_others_follow(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    noor = add_user(connection, "noor", None, None)
    add_title(connection, "Red")
    add_title(connection, "Blue", noor)
    page = website.visitor(mika).get("/me/library").text
    assert "You follow no title yet." in page
    assert page.index("Blue") < page.index("Red")


# --- preferences -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fields", "wanted"),
    [
        ("languages", {"language": ["en", "vi"]}, ["en", "vi"]),
        ("languages", {"others": "PT-BR, vi"}, ["pt-br", "vi"]),
        ("languages", {"language": "en", "others": "all"}, "is not a language"),
        ("languages", {"others": "klingon"}, "is not a language"),
        ("languages", {}, None),
    ],
)
def test_languages_are_chosen_or_written(
    website: RunningSite,
    connection: sql.Connection,
    mika: User,
    path: str,
    fields: dict[str, Any],
    wanted: Any,
) -> None:
    preferences.set_languages(connection, mika, ["fr"])
    visitor = website.visitor(mika)
    answer = visitor.post(f"/me/preferences/{path}", "/me/preferences", **fields)
    stored = preferences.read(connection, mika).languages
    if isinstance(wanted, str):
        assert answer.status_code == 400 and wanted in answer.text
        assert stored == ["fr"]
    else:
        assert answer.status_code == 303
        assert stored == wanted
        assert "Saved." in visitor.get(answer.headers["Location"]).text


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"which": "none"}, "none"),
        ({"which": "all", "genre": "Drama"}, "all"),
        ({"which": "genres", "genre": ["Drama", "Mystery"]}, "Drama,Mystery"),
        ({"which": "genres"}, "none"),
    ],
)
def test_new_titles_are_chosen(
    website: RunningSite,
    connection: sql.Connection,
    mika: User,
    fields: dict[str, Any],
    wanted: str,
) -> None:
    connection.execute("INSERT INTO genres (name) VALUES ('Drama'), ('Mystery')")
    visitor = website.visitor(mika)
    visitor.post("/me/preferences/new-titles", "/me/preferences", **fields)
    assert preferences.read(connection, mika).new_titles == wanted


def test_a_genre_that_is_none_is_told(website: RunningSite, mika: User) -> None:
    fields = {"which": "genres", "genre": "x"}
    answer = website.visitor(mika).post("/me/preferences/new-titles", "/me/preferences", **fields)
    assert answer.status_code == 400 and "is not a genre" in answer.text


def test_a_group_is_blocked_by_name_and_unblocked(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    connection.execute("INSERT INTO scanlation_groups VALUES (%s, 'TeamX')", [BLUE])
    visitor = website.visitor(mika)
    path = "/me/preferences/groups"
    for fields, blocked in (({"block": "teamx"}, ["TeamX"]), ({"unblock": str(BLUE)}, [])):
        assert visitor.post(path, "/me/preferences", **fields).status_code == 303
        own = preferences.read(connection, mika).blocked_groups
        assert [group.name for group in own] == blocked
    assert visitor.post(path, "/me/preferences", block="nobody").status_code == 400
    assert visitor.post(path, "/me/preferences").status_code == 400


def test_the_successor_of_a_title_that_is_gone_is_offered_and_taken_once(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    gone, new = add_title(connection, "Blue Lantern", mika), add_title(connection, "<b>Blue</b>")
    connection.execute("UPDATE manga SET unavailable_at = now() WHERE id = %s", [gone])
    for manga in (gone, new):
        connection.execute("INSERT INTO manga_links VALUES (%s, 'al', '7')", [manga])
    visitor = website.visitor(mika)
    page = visitor.get("/me/library").text
    assert "gone at MangaDex" in page and "(same id at AniList)" in page and "<b>Blue" not in page
    refused = visitor.post("/me/library/move", "/me/library", manga=gone, to=gone)
    assert refused.status_code == 409
    answer = visitor.post("/me/library/move", "/me/library", manga=gone, to=new)
    assert answer.status_code == 303
    assert names(connection, mika) == ["<b>Blue</b>"]
    assert "takes the place" in visitor.get(answer.headers["Location"]).text
    again = visitor.post("/me/library/move", "/me/library", manga=gone, to=new)
    assert again.status_code == 409
