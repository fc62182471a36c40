"""The New page: what it shows to whom, and what it says when there is nothing."""

from __future__ import annotations

import re

import pytest

import sql
from readers.users import User
from tests.support.website import RunningSite

HOSTILE = '<script>alert(1)</script>\u202e & "quotes"'


def add_chapter(connection: sql.Connection, title: str, *followers: User, ago: str = "1 h") -> int:
    row = connection.execute(
        "WITH m AS (INSERT INTO manga (title, slug, mangadex_id)"
        "  VALUES (%s, gen_random_uuid()::text, gen_random_uuid()) RETURNING id),"
        " g AS (INSERT INTO scanlation_groups VALUES (gen_random_uuid(), %s) RETURNING id),"
        " c AS (INSERT INTO chapters (manga_id, chapter_number, published_at, mangadex_chapter_id)"
        "  SELECT id, 181, now() - %s::interval, gen_random_uuid() FROM m RETURNING id, manga_id),"
        " l AS (INSERT INTO user_library (user_id, manga_id)"
        "  SELECT unnest(%s::uuid[]), id FROM m),"
        " cg AS (INSERT INTO chapter_groups SELECT c.id, g.id FROM c, g)"
        " SELECT manga_id FROM c",
        [title, title, ago, [user.id for user in followers]],
    ).fetchone()
    assert row
    return int(row[0])


def test_a_visitor_sees_all_that_is_new(website: RunningSite, connection: sql.Connection) -> None:
    manga = add_chapter(connection, "Blue")
    page = website.visitor().get("/").text
    assert re.search(rf'<a href="/titles/{manga}-[0-9a-f-]+"><bdi>Blue</bdi></a>', page)
    assert "ch. 181" in page and re.search(r"<time [^>]*>1 h</time>", page)
    assert re.search(r'href="https://mangadex.org/chapter/[0-9a-f-]{36}" rel="noreferrer', page)
    assert re.search(r'href="https://mangadex.org/group/[0-9a-f-]{36}" rel="noreferrer', page)
    assert "scope=mine" not in page and "unread=1" not in page


def test_what_is_hostile_in_a_title_stays_text(
    website: RunningSite, connection: sql.Connection
) -> None:
    add_chapter(connection, HOSTILE)
    page = website.visitor().get("/").text
    assert "<script>alert" not in page
    assert page.count("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u202e &amp;") == 2


def test_a_reader_with_titles_lands_on_his_own(
    website: RunningSite, connection: sql.Connection, mika: User
) -> None:
    add_chapter(connection, "Blue", mika)
    add_chapter(connection, "Red")
    visitor = website.visitor(mika)
    assert "Red" not in visitor.get("/").text
    everything = visitor.get("/?scope=all").text
    assert "Blue" in everything and "Red" in everything
    assert everything.count('<span class="mark">followed</span>') == 1


@pytest.mark.parametrize(
    ("setup", "path", "words"),
    [
        ("", "/", "No chapter has come out since this server first saw its titles."),
        ("", "/", "has not been checked yet: <code>mangahub-batch chapter-feed</code>"),
        ("checked", "/", "ago and found nothing."),
        ("chapter", "/?lang=vi", "Nothing new in vi since this server first saw its titles."),
        ("chapter", "/?lang=vi", "The newest chapter here is of "),
        ("chapter", "/?before=1-1", "Nothing is older than this."),
        ("chapter reader", "/?scope=mine", "You follow no title yet."),
        ("chapter reader", "/?scope=all&unread=1", "All read."),
        ("quiet reader", "/", "No chapter of your titles has come out since"),
    ],
)
def test_an_empty_list_says_what_is_known(
    website: RunningSite, connection: sql.Connection, mika: User, setup: str, path: str, words: str
) -> None:
    if "checked" in setup:
        connection.execute(
            "UPDATE sync_state SET last_success_at = now() - interval '4 min',"
            """ metadata = '{"last_run": {"chapters_new": 0}}' WHERE sync_type = 'chapter_feed'"""
        )
    if "chapter" in setup:
        add_chapter(connection, "Blue", ago="3 days")
    if "quiet" in setup:
        connection.execute(
            "WITH m AS (INSERT INTO manga (title) VALUES ('Quiet') RETURNING id)"
            " INSERT INTO user_library (user_id, manga_id) SELECT %s, id FROM m",
            [mika.id],
        )
    visitor = website.visitor(mika if "reader" in setup else None)
    page = re.sub(r"\s+", " ", visitor.get(path).text)
    assert words in page


def test_the_link_to_older_rows_keeps_the_filters(
    website: RunningSite, connection: sql.Connection
) -> None:
    for n in range(31):
        add_chapter(connection, f"T{n}")
    first = website.visitor().get("/?lang=en").text
    older = re.search(r'href="(/\?lang=en&amp;before=[\d-]+)" rel="next"', first)
    assert older
    page = website.visitor().get(older[1].replace("&amp;", "&")).text
    assert page.count("data-row") == 1
    assert 'href="/?lang=en">← newest' in page


@pytest.mark.parametrize(
    "query", ["scope=x", "lang=EN", "lang=english", "before=x", "before=1-%00", "lang=%ff"]
)
def test_an_address_that_is_none_is_one_clear_line(website: RunningSite, query: str) -> None:
    answer = website.visitor().get(f"/?{query}")
    assert answer.status_code == 400
    assert re.search(rf"<p>{query.partition('=')[0]} is ", answer.text)
