"""JSON of AniList, MangaDex, Anime-Planet and our own is told apart, and read."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import UUID

import pytest

from readers.errors import UnreadableList
from readers.lists.reading import ReadList, read_list

ID = "a1c7c817-4e59-43b7-9365-09675a149a6f"


def read(document: object) -> ReadList:
    return read_list(io.BytesIO(json.dumps(document).encode()))


def row(**other: object) -> dict[str, Any]:
    plain = {"series_type": 1, "series_id": 30013, "status": 0, "progress": 5, "score": 80}
    return {**plain, "custom_lists": '{"0":true}', "private": 0, "started_on": 0, **other}


def test_a_download_of_anilist_has_ids_and_no_titles() -> None:
    rows = [row(), row(series_id=1, status=5), row(series_type=0), row(series_id=2, status=1)]
    found = read({"user": {"email": "a@b.c", "token": "secret"}, "lists": rows, "activity": []})
    assert found.format == "anilist"
    assert [(e.key, e.status) for e in found.entries] == [
        ("al:30013", "reading"),
        ("al:1", "reading"),
        ("al:2", "plan_to_read"),
    ]
    assert found.entries[0].progress == 5
    assert found.ignored == {"anime": 1}


def entry(media_id: int, status: str = "CURRENT", **media: object) -> dict[str, Any]:
    names = {"romaji": "Kenpuu Denki Berserk", "english": "Berserk", "native": None}
    whole = {"idMal": 2, "title": names, "synonyms": ["B"], "format": "MANGA", **media}
    return {"mediaId": media_id, "status": status, "progress": 7, "media": whole}


def answer(*entries: object) -> dict[str, Any]:
    named = {"name": "Mine", "isCustomList": True, "entries": entries}
    return {"data": {"MediaListCollection": {"hasNextChunk": False, "lists": [named, named]}}}


def test_an_answer_of_anilist_names_a_title_once_with_all_its_names() -> None:
    found = read(answer(entry(1), entry(2, "REPEATING", format="NOVEL")))
    [only] = found.entries
    assert (only.ids, only.title) == ({"al": "1", "mal": "2"}, "Kenpuu Denki Berserk")
    assert only.other_titles == ("Berserk", "B")
    assert found.ignored == {"novels": 2}


def test_a_part_of_a_list_says_that_it_is_one() -> None:
    part = {"MediaListCollection": {"hasNextChunk": True, "lists": [{"entries": [entry(1)]}]}}
    found = read({"data": part})
    assert len(found.entries) == 1
    assert [why for why in found.ignored if "further part" in why]


def test_a_oneshot_is_called_one() -> None:
    assert read(answer(entry(1, format="ONE_SHOT"))).entries[0].is_oneshot


def test_statuses_of_mangadex_are_read() -> None:
    found = read({"result": "ok", "statuses": {ID: "on_hold", "x": "reading"}})
    assert found.format == "mdlist"
    [only] = found.entries
    assert (only.mangadex_id, only.status) == (UUID(ID), "reading")
    assert found.ignored == {"what is no id of MangaDex": 1}
    assert read({"result": "ok", "statuses": []}).entries == []


@pytest.mark.parametrize("follows", [False, True])
def test_titles_of_a_list_of_mangadex_are_read(follows: bool) -> None:
    titles: list[dict[str, Any]] = [{"id": ID, "type": "manga"}, {"id": ID, "type": "user"}]
    titles[0]["attributes"] = {"title": {"en": "Berserk"}}
    data = titles if follows else {"type": "custom_list", "relationships": titles}
    [only] = read({"result": "ok", "data": data}).entries
    assert (only.mangadex_id, only.title) == (UUID(ID), "Berserk")


def test_our_own_json_is_read_with_its_ids() -> None:
    rows = [{"title": "Berserk", "mangadex_id": None, "progress": 1.5, "ids": {"al": "7"}}]
    found = read({"entries": rows})
    assert (found.format, found.entries[0].key) == ("json", "al:7")


def test_anime_planet_has_names_and_its_own_words() -> None:
    rows = [
        {"name": "A", "status": "want to read", "ch": "3", "vol": "1"},
        {"name": "B", "status": "stalled", "ch": 12},
        {"name": "C", "status": "won't read"},
    ]
    found = read({"user": {"name": "x"}, "export": {"type": "manga"}, "entries": rows})
    assert [e.status for e in found.entries] == ["plan_to_read", "reading", "dropped"]
    assert [e.progress for e in found.entries] == [3, 12, None]


def test_favourites_of_kotatsu_are_read() -> None:
    manga = {"title": "Berserk", "url": ID, "source": "MANGADEX", "author": "Kentaro Miura"}
    found = read([{"manga_id": 5, "category_id": 1, "created_at": 1, "manga": manga}])
    assert [(e.key, e.title) for e in found.entries] == [(f"mangadex:{ID}", "Berserk")]


def test_a_plain_list_of_names_and_ids_is_read() -> None:
    found = read(["Berserk", ID, f"https://mangadex.org/title/{ID}", "", 5, None])
    assert [e.key for e in found.entries] == ["title:berserk", f"mangadex:{ID}"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"errors": [{"message": "User not found", "status": 404}], "data": None}, "not found"),
        ({"result": "error", "errors": [{"status": 404, "title": "nf"}]}, "private"),
        ({"result": "error", "errors": [{"status": 401, "title": "Unauthorized"}]}, "401"),
        ({"result": "ok", "statuses": 5}, "statuses"),
        ({"version": 2, "mangas": []}, "before 2021"),
        ({"some": "thing"}, "no `entries`"),
        ({"entries": {}}, "no `entries`"),
        ([], None),
    ],
)
def test_what_is_no_list_says_what_it_is(document: object, words: str | None) -> None:
    if words is None:
        assert read(document).entries == []
        return
    with pytest.raises(UnreadableList, match=words):
        read(document)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"entries": [{"ti', "half-way"),
        (b'{"entries": [1,]}', "line 1"),
        (b"[" * 100_000, "nested|half-way"),
        (b'{"entries": ' + b"1" * 5_000 + b"}", "digits"),
        (b'{"entries": ["\xff\xfe"]}', "UTF-8"),
    ],
    ids=["cut", "a comma", "deep", "a long number", "not UTF-8"],
)
def test_damaged_json_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableList, match=words):
        read_list(io.BytesIO(content), "json")
