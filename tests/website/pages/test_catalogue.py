"""The catalogue: what a search finds, in which order, and what it says when it finds nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser

import sql
from readers.users import User
from tests.support.browser import DESKTOP, PHONE, open_tab
from tests.support.catalogue import add_title
from tests.support.website import COOKIE, RunningSite
from website.pages import catalogue

HOSTILE = "<script>alert(1)</script> \u202e\x07 & \"quotes\" 'here' " + "long " * 6000


@pytest.fixture(autouse=True)
def counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_COUNTS", catalogue._CountCache())


@pytest.fixture
def titles(connection: sql.Connection) -> dict[str, int]:
    return {
        "lantern": add_title(connection, "Blue Lantern", status="ongoing", genres=["Drama"]),
        "night": add_title(
            connection,
            "Night Café",
            status="completed",
            genres=["Drama", "Comedy"],
            names={"夜のカフェ": "ja", "Yoru no Kafe": "ja-ro", "Кафе Ночь": "ru"},
        ),
        "dont": add_title(connection, "Don't Re:Start!"),
        "gone": add_title(connection, "Blue Gone", unavailable_at="2026-01-01"),
    }


def found(site: RunningSite, query: str) -> list[int]:
    page = site.visitor().get(f"/titles?{query}").text
    return [int(id) for id in re.findall(r'id="title-(\d+)"', page)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("lantern", "lantern", id="a word"),
        pytest.param("LANT blu", "lantern", id="beginnings, in any order and case"),
        pytest.param("cafe", "night", id="without accents"),
        pytest.param("Café", "night", id="with accents"),
        pytest.param("yoru kafe", "night", id="another name"),
        pytest.param("кафе", "night", id="Cyrillic"),
        pytest.param("カフェ", "night", id="inside a Japanese name"),
        pytest.param("夜の", "night", id="the beginning of a Japanese name"),
        pytest.param("dont restart", None, id="words are not joined"),
        pytest.param("don't re:start", "dont", id="punctuation"),
        pytest.param("don’t", "dont", id="a typographic apostrophe"),
        pytest.param("フェカ", None, id="characters in another order"),
        pytest.param("gone", None, id="gone from the source"),
    ],
)
def test_a_search_finds_titles_by_any_of_their_names(
    website: RunningSite, titles: dict[str, int], text: str, name: str | None
) -> None:
    assert found(website, f"q={text}") == ([titles[name]] if name else [])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("lantren", "lantern"), ("blue lanten", "blue lantern"), ("lsntern", "lantern")],
)
def test_a_mistyped_word_is_corrected(
    website: RunningSite, titles: dict[str, int], typed: str, meant: str
) -> None:
    page = website.visitor().get(f"/titles?q={typed}").text
    assert f"<bdi>{meant}</bdi></a>?" in page and f'id="title-{titles["lantern"]}"' in page


def test_nothing_found_says_what_is_known_and_where_else_to_look(
    website: RunningSite, titles: dict[str, int]
) -> None:
    page = website.visitor().get("/titles?q=zzzzqqqq").text
    assert "3 titles are known here" in page and "mangadex.org/search?q=zzzzqqqq" in page
    assert "Did you mean" not in page


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("genre=drama", ["night", "lantern"]),
        ("genre=Comedy", ["night"]),
        ("status=ongoing", ["lantern"]),
        ("sort=title", ["lantern", "dont", "night"]),
        ("sort=added", ["dont", "night", "lantern"]),
        ("genre=Nothing", []),
    ],
)
def test_lists_by_genre_status_and_order(
    website: RunningSite, titles: dict[str, int], query: str, names: list[str]
) -> None:
    assert found(website, query) == [titles[name] for name in names]


def test_titles_that_begin_so_come_first(website: RunningSite, connection: sql.Connection) -> None:
    middle = add_title(connection, "The Moon")
    first, exact = add_title(connection, "Moonlight"), add_title(connection, "Moon")
    assert found(website, "q=moon") == [exact, first, middle]


@pytest.mark.parametrize("sort", ["added", "title", "best"])
def test_every_title_is_on_one_page(
    website: RunningSite, connection: sql.Connection, sort: str
) -> None:
    names = [f"Same Name {n % 7}" for n in range(90)] + [f"\u200f {n} Same" for n in range(5)]
    ids = [add_title(connection, name) for name in names]
    visitor, seen = website.visitor(), list[int]()
    path: str | None = f"/titles?sort={sort}" + ("&q=same" if sort == "best" else "")
    while path:
        page = visitor.get(path).text
        seen += map(int, re.findall(r'id="title-(\d+)"', page))
        more = re.search(r'href="([^"]+)" rel="next"', page)
        path = more[1].replace("&amp;", "&") if more else None
    assert len(seen) == 95 and set(seen) == set(ids)


@pytest.mark.parametrize(
    "query",
    ["status=x", "sort=x", "sort=best", "before=x", "before=1-x", "before=9999999999999999999-1"],
)
def test_a_bad_address_is_answered_in_one_line(website: RunningSite, query: str) -> None:
    answer = website.visitor().get(f"/titles?{query}")
    assert answer.status_code == 400 and "Traceback" not in answer.text


@pytest.mark.parametrize(
    "text",
    [
        "%00",
        "a%00b&genre=%00&sort=title&before=1-%00",
        "'",
        "a & b | !c",
        ":*",
        "%F0%9F%98%80",
        "x" * 5000,
        "\\",
        "<b>",
        "%ED%A0%80",
        "a'b\\",
    ],
)
def test_any_text_may_be_searched_for(website: RunningSite, text: str) -> None:
    assert website.visitor().get(f"/titles?q={text}").status_code == 200


def test_a_reader_follows_and_ends_it(
    website: RunningSite, connection: sql.Connection, mika: User, titles: dict[str, int]
) -> None:
    visitor, path = website.visitor(mika), f"/titles/{titles['night']}/follow"
    for wanted, count in (("1", 1), ("1", 1), ("0", 0), ("0", 0)):
        answer = visitor.post(path, "/titles", follow=wanted, next="/titles?q=cafe")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/titles?q=cafe")
        row = connection.execute("SELECT count(*) FROM user_library").fetchone()
        assert row == (count,)
    assert visitor.post(path, "/titles", follow="x").status_code == 400
    assert visitor.post("/titles/9999/follow", "/titles", follow="1").status_code == 404
    away = visitor.post(path, "/titles", follow="1", next="//elsewhere.example")
    assert away.headers["Location"] == f"/titles/{titles['night']}"


def test_a_renamed_title_is_found_by_its_new_name(
    website: RunningSite, connection: sql.Connection, titles: dict[str, int]
) -> None:
    connection.execute("UPDATE manga SET title = 'Red Kettle' WHERE id = %s", [titles["lantern"]])
    connection.execute("DELETE FROM manga_titles WHERE language = 'ja'")
    assert found(website, "q=kettle") == [titles["lantern"]]
    assert found(website, "q=blue") == found(website, "q=カフェ") == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_titles_do_no_harm(
    website: RunningSite,
    connection: sql.Connection,
    browser: Browser,
    mika: User,
    size: tuple[int, int],
    scheme: str,
) -> None:
    hostile = add_title(connection, HOSTILE.replace("\x00", ""), genres=["<i>Genre"])
    with open_tab(
        browser,
        website.url,
        size=size,
        scheme=scheme,
        cookies={COOKIE: website.session_token(mika)},
    ) as tab:
        for path in ("/titles", "/titles?q=alert", "/titles?q=qqqq", f"/titles/{hostile}"):
            tab.open(path)
            tab.check()
            assert not tab.overflows(), path
