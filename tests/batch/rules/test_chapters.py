"""Every sentence of "What counts as a new chapter", as a table of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from batch.models import Chapter, plain_decimal
from batch.rules import baselines
from batch.rules import chapters as chapter_rules
from batch.rules.chapter_models import (
    ALL_LANGUAGES,
    Baseline,
    ChapterKey,
    Rules,
    StoredChapter,
    Title,
    TitleChanges,
    key_of,
    shown,
)
from tests.support.uploads import BEFORE, GROUP, NOW, RULES, SYNCED, UPLOADER, row_of, title, upload


def planned(
    subject: Title, *chapters: Chapter, rules: Rules = RULES, gone: frozenset[UUID] = frozenset()
) -> TitleChanges:
    return chapter_rules.decide_changes(
        subject, chapter_rules.select_readable(chapters, rules, NOW), gone
    )


def numbers(changes: TitleChanges) -> list[str]:
    return [
        shown(announcement.key.number)
        for announcement in changes.announcements
        if announcement.has_event
    ]


LATER = NOW + timedelta(hours=2)
FAR_FUTURE = datetime(2037, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("chapter", "expected"),
    [
        pytest.param(upload("21"), True, id="the next number"),
        pytest.param(upload("20"), False, id="the baseline itself"),
        pytest.param(upload("7"), False, id="a re-upload of an old number"),
        pytest.param(upload("20.5"), True, id="a half after the baseline"),
        pytest.param(upload("19.5"), False, id="a half before the baseline"),
        pytest.param(upload("100"), True, id="compared as numbers, not as text"),
        pytest.param(upload("021"), True, id="leading zeros"),
        pytest.param(upload("020"), False, id="leading zeros of the baseline"),
        pytest.param(upload(None), True, id="no number, appeared after the first sync"),
        pytest.param(upload(None, readable=BEFORE), False, id="no number, from before it"),
        pytest.param(upload(None, readable=SYNCED), True, id="no number, in that very second"),
        pytest.param(upload("21a"), True, id="a letter is no plain decimal, appeared after"),
        pytest.param(upload("21a", readable=BEFORE), False, id="a letter, from before"),
        pytest.param(upload("7b"), True, id="a letter makes a low number count by its date"),
        pytest.param(upload("21", language="de"), False, id="a language that is not tracked"),
        pytest.param(upload("21", readable=LATER), False, id="scheduled"),
        pytest.param(upload("21", readable=NOW), True, id="scheduled for now"),
        pytest.param(upload("21", readable=FAR_FUTURE), False, id="readable at no time at all"),
        pytest.param(upload("21", unavailable=True), False, id="taken down"),
        pytest.param(upload("21", groups=frozenset()), True, id="an individual upload"),
        pytest.param(
            upload("21", link="https://reader.example/21"), True, id="a link to a publisher"
        ),
        pytest.param(
            upload("21", readable=BEFORE, made=NOW), True, id="back-dated to before the first sync"
        ),
        pytest.param(
            upload(None, readable=BEFORE, made=NOW), True, id="back-dated and without a number"
        ),
        pytest.param(upload("0"), False, id="a prologue is below the baseline"),
    ],
)
def test_a_chapter_is_new_by_the_rules_of_the_contract(chapter: Chapter, expected: bool) -> None:
    changes = planned(title("20"), chapter)
    assert bool(changes.announcements) is expected
    assert bool(changes.inserts) is expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(RULES, True, id="nobody is blocked"),
        pytest.param(replace(RULES, blocked_groups=frozenset({GROUP})), False, id="the group is"),
        pytest.param(replace(RULES, blocked_uploaders=frozenset({UPLOADER})), False, id="the user"),
        pytest.param(replace(RULES, blocked_groups=frozenset({UPLOADER})), True, id="another id"),
    ],
)
def test_uploads_of_blocked_groups_and_users_are_no_news(rules: Rules, expected: bool) -> None:
    assert bool(planned(title(), upload("21"), rules=rules).announcements) is expected


def test_one_blocked_group_of_several_is_enough() -> None:
    joint = upload("21", groups=frozenset({GROUP, UUID(int=0x62)}))
    assert not planned(
        title(), joint, rules=replace(RULES, blocked_groups=frozenset({GROUP}))
    ).announcements


def test_a_number_of_a_blocked_group_is_new_when_another_group_uploads_it() -> None:
    blocked = replace(RULES, blocked_groups=frozenset({GROUP}))
    free = upload("21", 2, groups=frozenset({UUID(int=0x62)}))
    changes = planned(title(), upload("21", 1), free, rules=blocked)
    assert changes.inserts == [(ChapterKey("en", "", Decimal("21.00")), free)]


def test_a_lower_number_is_new_also_when_a_higher_one_came_first() -> None:
    subject = title("20", stored=(row_of(upload("23", 9)),))
    assert numbers(planned(subject, upload("21", 1), upload("22", 2))) == ["21", "22"]


def test_a_number_that_is_stored_is_not_new() -> None:
    subject = title("20", stored=(row_of(upload("21", 9)),))
    assert planned(subject, upload("21", 1)) == TitleChanges()


def test_an_upload_that_is_stored_as_it_is_costs_nothing() -> None:
    chapter = upload("21")
    assert planned(title("20", stored=(row_of(chapter),)), chapter) == TitleChanges()


def test_several_groups_uploads_of_a_number_are_one_row_and_one_announcement() -> None:
    late = upload("21", 1, readable=NOW - timedelta(minutes=1))
    early = upload("21", 2, readable=NOW - timedelta(hours=5))
    changes = planned(title(), late, early, upload("21.00", 3))
    assert [chapter for _, chapter in changes.inserts] == [early]
    assert numbers(changes) == ["21"]


def test_languages_are_counted_apart() -> None:
    subject = replace(title("20"), baselines={b.language: b for b in (
        Baseline("en", Decimal(20)), Baseline("pt-br", Decimal(3)))})  # fmt: skip
    changes = planned(
        subject, upload("4", 1, language="pt-br"), upload("4", 2), upload("21", 3, language="pt-br")
    )
    assert [(c.key.language, shown(c.key.number)) for c in changes.announcements] == [
        ("pt-br", "4"),
        ("pt-br", "21"),
    ]


def test_a_title_without_anything_readable_before_has_only_news() -> None:
    assert numbers(planned(title(None), upload("0", 1), upload("0.5", 2))) == ["0", "0.5"]


def test_an_adopted_baseline_holds_in_every_language() -> None:
    subject = title("180", language=ALL_LANGUAGES)
    changes = planned(
        subject, upload("180", 1), upload("181", 2), upload("181", 3, language="pt-br")
    )
    assert [(c.key.language, shown(c.key.number)) for c in changes.announcements] == [
        ("en", "181"),
        ("pt-br", "181"),
    ]


def test_an_adopted_baseline_counts_whatever_the_date() -> None:
    subject = title("180", language=ALL_LANGUAGES)
    assert numbers(planned(subject, upload("181", readable=BEFORE))) == ["181"]


def test_the_languages_own_baseline_comes_before_the_adopted_one() -> None:
    subject = title("180", language=ALL_LANGUAGES)
    subject = replace(subject, baselines={**subject.baselines, "en": Baseline("en", Decimal(190))})
    assert not planned(subject, upload("185")).announcements


def test_chapters_without_a_number_are_a_row_and_an_announcement_each() -> None:
    changes = planned(title(), upload(None, 1), upload(None, 2), upload("21a", 3))
    assert len(changes.inserts) == len({key for key, _ in changes.inserts}) == 3
    assert {key.number for key, _ in changes.inserts} == {Decimal(0)}
    assert [announcement.number for announcement in changes.announcements] == [None, None, None]


def test_a_chapter_zero_differs_from_one_without_a_number() -> None:
    changes = planned(title(None), upload("0", 1), upload(None, 2))
    assert [announcement.number for announcement in changes.announcements] == [Decimal(0), None]
    assert changes.inserts[0][0] == ChapterKey("en", "", Decimal(0))


@pytest.mark.parametrize(
    ("volume", "number", "expected"),
    [
        pytest.param("3", "1", True, id="the next volume begins at 1 again"),
        pytest.param("2", "9", True, id="the next in the volume"),
        pytest.param("2", "8", False, id="the baseline itself"),
        pytest.param("1", "12", False, id="a higher number in an older volume"),
        pytest.param("10", "1", True, id="volumes are numbers too"),
        pytest.param("02.0", "8", False, id="a volume written otherwise"),
        pytest.param(None, "1", True, id="no volume: by its date"),
        pytest.param("3Cxx", "1", True, id="a volume that is no number: by its date"),
        pytest.param("3", None, True, id="no number: by its date"),
    ],
)
def test_where_numbering_restarts_the_volume_counts_first(
    volume: str | None, number: str | None, expected: bool
) -> None:
    subject = title("8", volume="2", restarts=True)
    assert bool(planned(subject, upload(number, volume=volume)).announcements) is expected
    old = upload(number, volume=volume, readable=BEFORE)
    is_counted = plain_decimal(volume) is not None and number is not None
    assert bool(planned(subject, old).announcements) is (expected and is_counted)


def test_a_number_may_stand_in_every_volume() -> None:
    subject = title("8", volume="2", restarts=True)
    changes = planned(subject, upload("1", 1, volume="3"), upload("1", 2, volume="4"),
                   upload("1", 3, volume="04"))  # fmt: skip
    assert [key.scope for key, _ in changes.inserts] == ["volume:3", "volume:4"]


def test_uploads_without_a_volume_share_their_number() -> None:
    subject = title("8", volume="2", restarts=True)
    changes = planned(subject, upload("1", 1), upload("1", 2, volume="x"))
    scope = f"upload:{UUID(int=1)}"
    assert [key for key, _ in changes.inserts] == [ChapterKey("en", scope, Decimal(1))]


# --- corrections ---------------------------------------------------------------------------------


def corrected(
    before: str | None, after: str | None, *others: StoredChapter, baseline: str = "20"
) -> tuple[StoredChapter, TitleChanges]:
    row = row_of(upload(before, 1))
    return row, planned(title(baseline, stored=(row, *others)), upload(after, 1))


@pytest.mark.parametrize(
    ("before", "after", "announced"),
    [
        pytest.param("21", "22", ["22"], id="above the baseline"),
        pytest.param("21", "12", [], id="down to an old number"),
        pytest.param("21", None, [], id="to no number"),
        pytest.param(None, "22", ["22"], id="a number where there was none"),
        pytest.param(None, "12", [], id="an old number where there was none"),
    ],
)
def test_the_row_of_a_corrected_chapter_follows(
    before: str | None, after: str | None, announced: list[str]
) -> None:
    row, changes = corrected(before, after)
    assert [(moved.id, key) for moved, key, _ in changes.updates] == [
        (row.id, key_of(upload(after, 1), False))
    ]
    assert numbers(changes) == announced
    assert not changes.inserts and not changes.removals


def test_a_correction_to_a_number_that_has_a_row_joins_that_row() -> None:
    other = row_of(upload("22", 2), 2)
    row, changes = corrected("21", "22", other)
    assert changes == TitleChanges(removals=[row])


def test_the_place_of_a_corrected_chapter_is_free_for_another_upload() -> None:
    row = row_of(upload("21", 1))
    changes = planned(title(stored=(row,)), upload("22", 1), upload("21", 2))
    assert [key.number for key, _ in changes.inserts] == [Decimal(21)]
    assert numbers(changes) == ["22", "21"]  # 21 was announced before: the database knows


def test_a_whole_series_of_corrections_shifts_the_rows() -> None:
    rows = tuple(row_of(upload(str(20 + i), i), i) for i in (1, 2, 3))
    changes = planned(title(stored=rows), *(upload(str(21 + i), i) for i in (1, 2, 3)))
    assert [(row.id, shown(key.number)) for row, key, _ in changes.updates] == [
        (1, "22"),
        (2, "23"),
        (3, "24"),
    ]
    assert not changes.removals


def test_two_chapters_that_change_places_keep_their_rows() -> None:
    rows = (row_of(upload("21", 1), 1), row_of(upload("22", 2), 2))
    changes = planned(title(stored=rows), upload("22", 1), upload("21", 2))
    assert len(changes.updates) == 2 and not changes.removals


def test_a_chapter_that_moves_to_another_title_takes_its_row_along() -> None:
    row = replace(row_of(upload("21", 1)), manga_id=99)
    changes = planned(title(stored=(row,)), upload("21", 1))
    assert [moved.id for moved, _, _ in changes.updates] == [row.id]
    assert numbers(changes) == ["21"]


def test_a_row_of_another_title_does_not_hold_a_number() -> None:
    row = replace(row_of(upload("22", 9)), manga_id=99)
    assert numbers(planned(title(stored=(row,)), upload("22", 1))) == ["22"]


def test_a_volume_that_comes_to_be_known_is_marked_but_not_announced_again() -> None:
    row = row_of(upload("1", 1), restarts=True)
    subject = title("8", volume="2", restarts=True, stored=(row,))
    changes = planned(subject, upload("1", 1, volume="3"))
    assert [key.scope for _, key, _ in changes.updates] == ["volume:3"]
    assert [announcement.has_event for announcement in changes.announcements] == [False]


def test_another_volume_is_another_number_where_numbering_restarts() -> None:
    row = row_of(upload("1", 1, volume="3"), restarts=True)
    subject = title("8", volume="2", restarts=True, stored=(row,))
    assert numbers(planned(subject, upload("1", 1, volume="4"))) == ["1"]


def test_other_fields_of_a_stored_upload_are_updated_in_place() -> None:
    row = row_of(upload("21", 1))
    changed = replace(upload("21", 1), title="A better title", pages=21)
    changes = planned(title(stored=(row,)), changed)
    assert changes == TitleChanges(updates=[(row, row.key, changed)])


def test_a_row_that_shares_its_number_since_before_stays() -> None:
    row = row_of(upload("21", 1))
    twin = replace(row_of(upload("21", 2), 2), key=ChapterKey("en", "row:2", Decimal("21.00")))
    assert planned(title(stored=(row, twin)), upload("21", 1), upload("21", 2)) == TitleChanges()


def test_the_row_of_an_upload_that_is_gone_passes_to_another_of_its_number() -> None:
    row = row_of(upload("21", 1))
    other = upload("21", 2)
    changes = planned(title(stored=(row,)), other, gone=frozenset({UUID(int=1)}))
    assert changes == TitleChanges(updates=[(row, row.key, other)])


def test_a_row_whose_upload_is_gone_stays_if_there_is_no_other_upload() -> None:
    row = row_of(upload("21", 1))
    changes = planned(title(stored=(row,)), upload("22", 2), gone=frozenset({UUID(int=1)}))
    assert not changes.updates and not changes.removals


def test_after_a_baseline_fell_only_what_appeared_since_is_new() -> None:
    lowered = Baseline("en", Decimal(10), is_lowered=True)
    subject = replace(title(), baselines={"en": lowered})
    old, new = upload("11", 1, readable=BEFORE), upload("12", 2)
    assert numbers(planned(subject, old, new)) == ["12"]


def test_without_a_baseline_nothing_numbered_is_news() -> None:
    assert planned(replace(title(), baselines={}), upload("21", readable=BEFORE)) == TitleChanges()


def test_only_what_was_asked_for_and_is_not_listed_is_gone() -> None:
    rows = [row_of(upload(str(n), n, language=language), n)
            for n, language in ((1, "en"), (2, "en"), (3, "pt-br"))]  # fmt: skip
    subject = title(stored=(*rows, row_of(upload("4", 4), 4, manga_id=2)))
    feed, english = [upload("2", 2, unavailable=True)], frozenset({"en"})

    def gone(listed: frozenset[UUID] | None) -> list[int]:
        found = chapter_rules.find_gone(subject, feed, listed, english)
        return sorted(upload.int for upload in found)

    assert gone(None) == [2]
    assert gone(frozenset({UUID(int=1)})) == [2]
    assert gone(frozenset({UUID(int=2)})) == [1, 2]


HAS_23 = title("20", stored=(row_of(upload("23", 9)),))


@pytest.mark.parametrize(
    ("subject", "chapter", "is_late", "is_doubtful"),
    [
        pytest.param(HAS_23, upload("24"), False, False, id="above all"),
        pytest.param(HAS_23, upload("22"), True, False, id="below a stored one"),
        pytest.param(HAS_23, upload("23"), False, False, id="the stored one again"),
        pytest.param(HAS_23, upload("19"), False, True, id="below the baseline"),
        pytest.param(HAS_23, upload("19", readable=BEFORE), False, False, id="history"),
        pytest.param(HAS_23, upload("22", language="pt-br"), False, False, id="another language"),
        pytest.param(HAS_23, upload(None), False, False, id="no number"),
        pytest.param(replace(HAS_23, checked_at=NOW), upload("22"), False, False, id="checked"),
        pytest.param(
            replace(HAS_23, stored=(replace(HAS_23.stored[0], is_gone=True),)),
            upload("22"), False, False, id="known to be gone",
        ),
    ],
)  # fmt: skip
def test_a_number_that_is_lower_than_it_should_be_is_looked_into(
    subject: Title, chapter: Chapter, is_late: bool, is_doubtful: bool
) -> None:
    assert baselines.comes_late(subject, [chapter]) is is_late
    assert baselines.doubts_baseline(subject, [chapter]) is is_doubtful


@pytest.mark.parametrize(
    ("number", "text"),
    [("5", "5"), ("5.00", "5"), ("10.50", "10.5"), ("100", "100"), ("0.00", "0"), ("0.25", "0.25")],
)
def test_numbers_are_shown_as_people_write_them(number: str, text: str) -> None:
    assert shown(Decimal(number)) == text
