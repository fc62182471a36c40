"""Lists that move while they are read."""

from __future__ import annotations

from uuid import UUID

import pytest

from batch.errors import SourceDown
from batch.mangadex import paging
from batch.mangadex.paging import Window
from batch.models import JsonObject, Page


def entry(number: int) -> JsonObject:
    return {"id": str(UUID(int=number))}


class List:
    """A list of numbers; `changes` replace it before a request, counted from 0."""

    def __init__(self, *numbers: int, **changes: list[int]) -> None:
        self.numbers = list(numbers)
        self.changes = {int(key.removeprefix("before_")): value for key, value in changes.items()}
        self.offsets: list[int] = []

    def ask(self, offset: int) -> Page:
        self.numbers = self.changes.get(len(self.offsets), self.numbers)
        self.offsets.append(offset)
        page = self.numbers[offset : offset + 3]
        return Page([entry(number) for number in page], len(self.numbers), offset)


def numbers(window: Window) -> set[int]:
    return {UUID(text).int for text in window.ids}


@pytest.mark.parametrize(
    ("count", "offsets"), [(0, [0]), (1, [0]), (3, [0]), (4, [0, 3]), (7, [0, 3, 6])]
)
def test_a_list_is_read_to_its_end(count: int, offsets: list[int]) -> None:
    source, window = List(*range(count)), Window()
    assert len(list(paging.read(window, source.ask, 3))) == len(offsets)
    assert source.offsets == offsets
    assert (numbers(window), window.is_whole) == (set(range(count)), True)


def test_a_list_beyond_the_ceiling_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_WINDOW", 6)
    source, window = List(*range(8)), Window()
    list(paging.read(window, source.ask, 3))
    assert (source.offsets, window.is_whole, window.is_short) == ([0, 3], False, False)


def test_the_known_beginning_of_a_list_is_not_read() -> None:
    source, window = List(*range(8)), Window(start=4)
    list(paging.read(window, source.ask, 3))
    assert (source.offsets, window.is_short) == ([4, 7], False)


@pytest.mark.parametrize("total", [9, 2], ids=["the same total", "a smaller total"])
def test_a_page_that_comes_empty_before_the_end_breaks_the_list_off(total: int) -> None:
    pages = iter([Page([entry(n) for n in range(3)], 9, 0), Page([], total, 3)])
    with pytest.raises(SourceDown, match="the list of titles ends at 3 of 9"):
        list(paging.read(Window(), lambda offset: next(pages), 3, "list of titles"))


def test_a_list_that_does_not_move_is_read_once() -> None:
    source = List(*range(7))
    list(paging.read_again(Window(), source.ask, 3))
    assert source.offsets == [0, 3, 6]


def test_an_entry_that_changed_places_with_another_is_found_by_reading_until_all_are_seen() -> None:
    source, window = List(0, 1, 2, 3, 4, 5, 6, before_1=[0, 1, 3, 2, 4, 5, 6]), Window()
    list(paging.read_again(window, source.ask, 3))
    assert numbers(window) == set(range(7))
    assert source.offsets == [0, 3, 6, 0]


def test_a_list_that_shrank_is_read_again_to_its_end() -> None:
    source, window = List(*range(7), before_1=[1, 2, 3, 4, 5, 6]), Window()
    list(paging.read_again(window, source.ask, 3))
    assert numbers(window) == set(range(7))
    assert source.offsets == [0, 3, 0, 3]


def test_a_list_that_always_moves_is_read_four_times(caplog: pytest.LogCaptureFixture) -> None:
    changes = {f"before_{n}": list(range(8 if n % 3 else 9)) for n in range(30)}
    source, window = List(**changes), Window()
    list(paging.read_again(window, source.ask, 3))
    assert source.offsets.count(0) == 1 + paging.MAX_REREADS
    assert "The list changed during every reading" in caplog.text
