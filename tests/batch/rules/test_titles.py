"""Which changes of a title readers hear of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batch.rules.titles import StoredTitle, find_changes, find_differences, keep_covers
from tests.support.titles import a_title

USUAL = a_title()
BEFORE = StoredTitle(
    7,
    USUAL.mangadex_id,
    USUAL.title,
    USUAL.status,
    USUAL.cover_url,
    USUAL.version,
)


def test_title_status_and_cover_are_announced() -> None:
    assert find_changes(BEFORE, USUAL) == []
    after = a_title(title="Another", status=None, cover_url="https://covers.example/2.jpg")
    assert [c.field for c in find_changes(BEFORE, after)] == ["title", "status", "cover_url"]


def test_other_fields_change_without_an_event() -> None:
    assert find_changes(BEFORE, a_title(description="New", author="New", genres=())) == []


@pytest.mark.parametrize(("before", "differs"), [(None, False), ("hiatus", True)])
def test_how_an_adopted_title_differs_is_its_baseline_and_no_news(
    before: str | None, differs: bool
) -> None:
    adopted = replace(BEFORE, status=before, version=None)
    assert find_changes(adopted, USUAL) == []
    assert bool(find_differences(adopted, USUAL)) is differs
    assert find_changes(replace(BEFORE, status=None), USUAL)


def test_an_answer_without_a_cover_keeps_the_stored_one() -> None:
    new = a_title(2, cover_url=None)
    before = {BEFORE.mangadex_id: BEFORE}
    assert keep_covers([a_title(cover_url=None), new], before) == [USUAL, new]
    assert find_changes(BEFORE, a_title(cover_url=None)) == []
