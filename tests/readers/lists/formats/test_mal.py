"""XML of MyAnimeList and its relatives is read, with what they write wrongly."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest

from readers.errors import UnreadableList
from readers.lists.entries.entry import Entry
from readers.lists.reading import ReadList, read_list
from tests.support import lists


def read(content: bytes) -> ReadList:
    return read_list(io.BytesIO(content))


def only(entry: str) -> Entry:
    [found] = read(lists.mal(entry)).entries
    return found


def test_an_entry_has_id_title_status_and_progress() -> None:
    entry = only(
        "<manga_mangadb_id>2</manga_mangadb_id><manga_title><![CDATA[Berserk & Co]]></manga_title>"
        "<manga_chapters>0</manga_chapters><my_read_chapters>364</my_read_chapters>"
        "<my_status>On-Hold</my_status>"
    )
    assert (entry.ids, entry.title) == ({"mal": "2"}, "Berserk & Co")
    assert entry.status == "reading" and entry.progress == 364


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Reading", "reading"),
        ("Completed", "completed"),
        ("On Hold", "reading"),
        ("Dropped", "dropped"),
        ("Plan to Read", "plan_to_read"),
        ("6", "plan_to_read"),
        ("2", "completed"),
        ("", None),
        ("Whatever", None),
    ],
)
def test_statuses_are_words_or_numbers(text: str, status: str | None) -> None:
    entry = only(f"<manga_mangadb_id>1</manga_mangadb_id><my_status>{text}</my_status>")
    assert entry.status == status
    assert ("Whatever" in entry.note) == (text == "Whatever")


@pytest.mark.parametrize(
    ("xml", "key"),
    [
        ("<series_mangadb_id>5</series_mangadb_id>", "mal:5"),
        ("<series_title>Old Way</series_title>", "title:oldway"),
        (
            "<manga_mangadb_id>0</manga_mangadb_id><manga_title>By Name</manga_title>",
            "title:byname",
        ),
        ("<manga_anilist_id>7</manga_anilist_id>", "al:7"),
        ("<manga_kitsu_id>some-slug</manga_kitsu_id>", "kt:some-slug"),
        (
            "<manga_mangadex_id>a1c7c817-4e59-43b7-9365-09675a149a6f</manga_mangadex_id>"
            "<manga_mangadb_id>5</manga_mangadb_id>",
            "mangadex:a1c7c817-4e59-43b7-9365-09675a149a6f",
        ),
    ],
)
def test_relatives_name_titles_their_way(xml: str, key: str) -> None:
    assert only(xml).key == key


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ("953.6", Decimal("953.6")),
        ("35.000", 35),
        ("0", 0),
        ("", None),
        ("-1", None),
        ("1000000000", None),
        ("NaN", None),
        ("many", None),
        ("9" * 400, None),
    ],
)
def test_progress_is_a_chapter_number_or_left_out(text: str, progress: object) -> None:
    entry = only(
        f"<manga_mangadb_id>1</manga_mangadb_id><my_read_chapters>{text}</my_read_chapters>"
        "<my_read_volumes>3</my_read_volumes>"
    )
    assert entry.progress == progress
    assert bool(entry.note) == (progress is None and text != "")


def test_reading_again_is_reading() -> None:
    assert only("<manga_title>A</manga_title><my_rereading>YES</my_rereading>").status == "reading"


def test_a_lone_ampersand_is_read_and_one_in_cdata_stays() -> None:
    entry = only(
        "<manga_title><![CDATA[A & B &amp; C]]></manga_title><my_comments>you & me</my_comments>"
        "<my_tags>\x0b</my_tags>"
    )
    assert entry.title == "A & B &amp; C"


def test_anime_is_ignored() -> None:
    found = read(lists.mal("<series_title>A</series_title>", "<x/>", kind=1))
    assert (found.entries, found.ignored) == ([], {"anime": 2})


def test_the_same_id_twice_is_one_entry_with_the_higher_of_each() -> None:
    first, second = (
        f"<manga_mangadb_id>1</manga_mangadb_id><my_status>{status}</my_status>"
        f"<my_read_chapters>{chapter}</my_read_chapters>"
        for status, chapter in (("Completed", 3), ("Plan to Read", 9))
    )
    [entry] = read(lists.mal(first, second)).entries
    assert entry.status == "completed" and entry.progress == 9


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_other_encodings_are_read(encoding: str) -> None:
    text = lists.mal("<manga_title>Élan</manga_title>").decode().replace('encoding="UTF-8" ', "")
    assert read(text.encode(encoding)).entries[0].title == "Élan"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><myanimelist>&a;</myanimelist>', "DOCTYPE"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><myanimelist/>', "DOCTYPE"),
        (lists.mal("<manga_title>A</manga_title>")[:-20], "half-way"),
        (b"<myanimelist><manga></anime></myanimelist>", "mismatched tag, line 1"),
        (b"<rss></rss>", "begins with <rss>"),
        (b"<html><body>Sign in</body></html>", "begins with <html>"),
    ],
    ids=["entities", "an outer entity", "cut", "mismatched", "a feed", "a web page"],
)
def test_what_is_no_list_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableList, match=words):
        read(content)
