"""Up to where chapters are history: how it is found, needed and lowered."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from batch.models import Chapter, plain_decimal
from batch.rules import baselines
from batch.rules.chapter_models import ALL_LANGUAGES, Baseline, Title
from tests.support.uploads import BEFORE, NOW, SYNCED, row_of, title, upload


def test_the_baseline_is_the_highest_number_from_before_the_first_sync() -> None:
    feed = [
        upload("9", 1, readable=BEFORE),
        upload("10.5", 2, readable=BEFORE),
        upload("10", 3, readable=BEFORE, unavailable=True),
        upload("12", 4, readable=SYNCED),
        upload("13", 5, readable=BEFORE, made=NOW),
        upload("99a", 6, readable=BEFORE),
        upload("4", 7, readable=BEFORE, language="pt-br", unavailable=True),
    ]
    subject = replace(title(), baselines={})
    assert baselines.find_baselines(subject, feed, ("pt-br", "en", "de")) == [
        Baseline("de", None),
        Baseline("en", Decimal("10.5")),
        Baseline("pt-br", Decimal(4)),
    ]


def test_the_baseline_of_volumes_is_a_pair() -> None:
    feed = [
        upload("12", 1, volume="1", readable=BEFORE),
        upload("3", 2, volume="2", readable=BEFORE),
        upload("40", 3, readable=BEFORE),
    ]
    subject = title(restarts=True)
    assert baselines.find_baselines(subject, feed, ["en"]) == [
        Baseline("en", Decimal(3), Decimal(2))
    ]


@pytest.mark.parametrize(
    ("subject", "feed", "expected"),
    [
        pytest.param(title("20"), [upload("20", readable=BEFORE)], "20", id="it stands"),
        pytest.param(title("20"), [upload("25", readable=BEFORE)], "20", id="it is never raised"),
        pytest.param(title("20"), [upload("19", readable=BEFORE)], "19", id="withdrawn"),
        pytest.param(
            title("20"),
            [upload("20", 1, readable=BEFORE, unavailable=True), upload("19", 2, readable=BEFORE)],
            "19",
            id="taken down",
        ),
        pytest.param(title("20"), [upload("20")], "20", id="uploaded again, or dated anew"),
        pytest.param(title("20"), [upload("21")], None, id="nothing of before is left"),
        pytest.param(title("20"), [], "20", id="an empty feed proves nothing"),
        pytest.param(
            title("20"), [upload("1", language="pt-br")], "20", id="nor does another language"
        ),
        pytest.param(
            title("3", volume="20", restarts=True),
            [upload("9", volume="2", readable=BEFORE)],
            "9",
            id="a volume was corrected",
        ),
        pytest.param(
            title("180", language=ALL_LANGUAGES),
            [upload("20", readable=BEFORE)],
            "180",
            id="an adopted total that rests on no upload",
        ),
        pytest.param(
            replace(
                title("180", language=ALL_LANGUAGES),
                stored=(row_of(upload("180", 9, readable=BEFORE)),),
            ),
            [upload("18", 9, readable=BEFORE)],
            "18",
            id="an adopted total whose upload was corrected",
        ),
    ],
)
def test_a_baseline_falls_to_what_is_left(
    subject: Title, feed: list[Chapter], expected: str | None
) -> None:
    lowered = {each.language: each for each in baselines.lower_baselines(subject, feed)}
    subject = replace(subject, baselines={**subject.baselines, **lowered})
    baseline = baselines.baseline_of(subject, "en")
    assert baseline is not None
    assert baseline.number == plain_decimal(expected)
    assert not lowered or baseline.is_lowered


UNKNOWN = replace(title(), baselines={})


@pytest.mark.parametrize(
    ("subject", "chapter", "expected"),
    [
        pytest.param(UNKNOWN, upload("21"), True, id="news and no baseline"),
        pytest.param(title(), upload("21"), False, id="the baseline is known"),
        pytest.param(title(language="*"), upload("21"), False, id="an adopted baseline"),
        pytest.param(title(None), upload("21"), False, id="known to be none"),
        pytest.param(UNKNOWN, upload("21", readable=BEFORE), False, id="history needs none"),
        pytest.param(UNKNOWN, upload("21", readable=BEFORE, made=NOW), True, id="back-dated"),
        pytest.param(UNKNOWN, upload(None), False, id="without a number the date decides"),
        pytest.param(title(language="pt-br"), upload("21"), True, id="another language's"),
        pytest.param(
            replace(UNKNOWN, stored=(row_of(upload("21")),)), upload("21"), False, id="stored"
        ),
        pytest.param(
            replace(UNKNOWN, stored=(row_of(upload("21", 9)),)), upload("21"), False, id="a twin is"
        ),
        pytest.param(
            replace(UNKNOWN, stored=(row_of(upload("21")),)), upload("22"), True, id="corrected"
        ),
        pytest.param(
            title("180", language="*", restarts=True),
            upload("1", volume="2"),
            True,
            id="an adopted number says nothing about volumes",
        ),
        pytest.param(title("8", volume="2"), upload("21"), True, id="numbering restarts no longer"),
    ],
)
def test_a_baseline_is_needed_only_where_it_decides(
    subject: Title, chapter: Chapter, expected: bool
) -> None:
    assert baselines.needs_baseline(subject, [chapter]) is expected
