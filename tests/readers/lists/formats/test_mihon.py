"""Backups are read with the oddities of the apps that write them."""

from __future__ import annotations

import gzip
import io
from decimal import Decimal
from uuid import UUID

import pytest

from readers.errors import UnreadableList
from readers.lists.entries.entry import Entry
from readers.lists.reading import ReadList, read_list
from tests.support import lists

ID = UUID("a1c7c817-4e59-43b7-9365-09675a149a6f")
URL = f"/manga/{ID}"


def read(*mangas: bytes, **how: object) -> ReadList:
    return read_list(io.BytesIO(lists.backup(*mangas, **how)))  # type: ignore[arg-type]


def only(*mangas: bytes) -> Entry:
    found = read(*mangas)
    assert found.format == "mihon"
    [entry] = found.entries
    return entry


def test_what_is_not_called_a_favourite_is_in_the_library() -> None:
    assert only(lists.manga(URL, "One")).mangadex_id == ID


def test_what_is_called_no_favourite_is_ignored() -> None:
    found = read(lists.manga(URL, "One", (100, 0)), lists.manga(f"/manga/{UUID(int=1)}", "Two"))
    assert [entry.title for entry in found.entries] == ["Two"]
    assert found.ignored == {"not in the library there": 1}


def test_fields_with_the_number_0_are_passed_over() -> None:
    broken = lists.message((0, "MangaDex"), (1, 5))
    entry = only(lists.manga(URL, "One", (102, broken), (104, broken)))
    assert entry.title == "One"
    whole = gzip.decompress(lists.backup(lists.manga(URL, "One"))) + lists.message((100, broken))
    assert len(read_list(io.BytesIO(whole)).entries) == 1


def test_two_language_sources_of_a_title_are_one_entry_with_the_higher_progress() -> None:
    english = lists.manga(URL, "One", (16, lists.chapter(3)))
    vietnamese = lists.manga(URL, "Một", (16, lists.chapter(7)), source=lists.MANGADEX_VI)
    entry = only(english, vietnamese)
    assert entry.title == "One" and entry.progress == 7


@pytest.mark.parametrize(
    ("chapters", "progress"),
    [
        pytest.param([lists.chapter(717.7)], Decimal("717.70"), id="a float"),
        pytest.param([lists.chapter(None)], None, id="absent is 0"),
        pytest.param([lists.chapter(-1)], None, id="-1 is unknown"),
        pytest.param([lists.chapter(12, is_read=False)], None, id="not read"),
        pytest.param([lists.chapter(2), lists.chapter(9), lists.chapter(4)], 9, id="the highest"),
        pytest.param([lists.chapter(float("nan")), lists.chapter(2)], 2, id="no number"),
        pytest.param([lists.chapter(float("inf"))], None, id="infinite"),
        pytest.param([lists.chapter(1e9), lists.chapter(4)], 4, id="absurd"),
    ],
)
def test_progress_is_the_highest_chapter_that_was_read(
    chapters: list[bytes], progress: object
) -> None:
    assert only(lists.manga(URL, "One", *((16, c) for c in chapters))).progress == progress


@pytest.mark.parametrize(
    ("tracker", "code", "status"),
    [
        (2, 1, "reading"),
        (2, 3, "reading"),
        (2, 5, "plan_to_read"),
        (2, 6, "reading"),
        (1, 6, "plan_to_read"),
        (1, 2, "completed"),
        (7, 0, "reading"),
        (7, 3, "dropped"),
        (60, 4, "plan_to_read"),
        (60, 5, "dropped"),
        (11, 4, "dropped"),
        (99, 1, None),
    ],
)
def test_statuses_are_read_by_each_tracker_s_numbers(
    tracker: int, code: int, status: str | None
) -> None:
    followed = lists.tracking(tracker, (9, code), (100, 30013))
    assert only(lists.manga(URL, "One", (18, followed))).status == status


def test_a_tracker_tells_id_and_progress_of_a_title_of_another_source() -> None:
    old = lists.tracking(1, (3, 2), (6, 350.5))
    new = lists.tracking(2, (100, 30013), (6, 12.0))
    entry = only(lists.manga("/berserk", "Berserk", (18, old), (18, new), source=9))
    assert entry.ids == {"mal": "2", "al": "30013"}
    assert entry.progress == Decimal("350.5")
    assert entry.mangadex_id is None


@pytest.mark.parametrize("number", [0, 60], ids=["Neko", "TachiyomiSY"])
def test_mdlist_as_a_tracker_tells_the_mangadex_id(number: int) -> None:
    followed = lists.tracking(number, (4, f"https://mangadex.org/title/{ID}"), (9, 1))
    assert only(lists.manga("/berserk", "Berserk", (18, followed), source=9)).mangadex_id == ID


@pytest.mark.parametrize(
    ("url", "legacy_id"), [("/manga/12345/", 12345), ("/manga/77/some-slug", 77), ("/title/5", 5)]
)
def test_a_number_of_before_2021_is_kept(url: str, legacy_id: int) -> None:
    entry = only(lists.manga(url, "One"))
    assert (entry.legacy_id, entry.mangadex_id) == (legacy_id, None)
    assert only(lists.manga(url, "One", source=9)).legacy_id is None


def test_an_unknown_source_is_mangadex_by_its_name_or_its_addresses() -> None:
    by_name = read(lists.manga(URL, "One", source=5), sources=[(5, "MangaDex")])
    assert by_name.entries[0].mangadex_id == ID
    cover = (9, "https://uploads.mangadex.org/covers/x.jpg")
    assert only(lists.manga(URL, "One", cover, source=5)).mangadex_id == ID
    chapter = lists.message((1, f"/chapter/{ID}"))
    assert only(lists.manga(URL, "One", (16, chapter), source=5)).mangadex_id == ID
    assert only(lists.manga(URL, "One", source=5)).mangadex_id is None


def test_anime_of_aniyomi_is_no_manga() -> None:
    anime = lists.message((3, lists.manga("/anime/1", "An Anime")))
    whole = gzip.decompress(lists.backup(lists.manga(URL, "One"))) + anime
    found = read_list(io.BytesIO(whole))
    assert [entry.title for entry in found.entries] == ["One"]
    assert found.ignored == {"anime": 1}


def test_the_date_of_the_library_there_is_read() -> None:
    entry = only(lists.manga(URL, "One", (13, 1_600_000_000_000)))
    assert entry.listed_at is not None and entry.listed_at.year == 2020


@pytest.mark.parametrize("size", [2, 20, 60, -3])
def test_a_backup_that_ends_half_way_is_refused(size: int) -> None:
    whole = gzip.decompress(lists.backup(lists.manga(URL, "One", (16, lists.chapter(1)))))
    with pytest.raises(UnreadableList, match="half-way"):
        read_list(io.BytesIO(whole[:size]), "mihon")
