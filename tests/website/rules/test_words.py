"""Numbers, ages, places, browsers: what pages say of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from website.rules.ages import describe_age, describe_day, near_day
from website.rules.browsers import describe_browser
from website.rules.cursors import Cursor
from website.rules.numbers import describe_chapters, describe_number
from website.rules.sites import chapter_place

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
CHAPTER = UUID(int=7)
D = Decimal


@pytest.mark.parametrize(
    ("number", "text"),
    [("181.00", "181"), ("10.50", "10.5"), ("0.00", "0"), ("100", "100"), ("1E+2", "100")],
)
def test_a_number_has_no_needless_digits(number: str, text: str) -> None:
    assert describe_number(D(number)) == text


@pytest.mark.parametrize(
    ("chapters", "text"),
    [
        ([(None, D(181))], "ch. 181"),
        ([(None, D(181)), (None, D(182)), (None, D(183))], "ch. 181–183 (3)"),
        ([(None, D(1)), (None, D("1.5")), (None, D(2)), (None, D(4))], "ch. 1, 1.5, 2, 4 (4)"),
        ([("2", D(1)), ("2", D(2)), ("3", D(1))], "vol. 2 ch. 1–2, vol. 3 ch. 1 (3)"),
        ([(None, None)], "without number"),
        ([(None, D(5)), (None, None), (None, None)], "ch. 5, 2 without number (3)"),
    ],
)
def test_chapters_are_listed_in_runs(
    chapters: list[tuple[str | None, Decimal | None]], text: str
) -> None:
    assert describe_chapters(chapters) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=12), "12 min"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=30), "30 days"),
        (timedelta(days=31), "2 November"),
        (timedelta(days=400), "29 October 2025"),
    ],
)
def test_an_age_is_short(ago: timedelta, text: str) -> None:
    assert describe_age(NOW - ago, NOW) == text


def test_days_are_named_by_how_near_they_are() -> None:
    today = NOW.date()
    assert [near_day(date(2026, 12, n), today) for n in (3, 2, 1, 4)] == [
        "Today",
        "Yesterday",
        None,
        None,
    ]
    assert describe_day(today, today) == "Thursday 3 December"
    assert describe_day(date(2025, 1, 31), today) == "Friday 31 January 2025"


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://mangaplus.shueisha.co.jp/viewer/1", "MANGA Plus"),
        ("http://www.publisher.example/1", "publisher.example"),
        (None, "MangaDex"),
        ("javascript:alert(1)", "MangaDex"),
        ("https://[broken", "MangaDex"),
        ("https://a.example/ x", "MangaDex"),
        ("//a.example/x", "MangaDex"),
    ],
)
def test_a_chapter_is_read_at_its_publisher_or_at_the_source(url: str | None, site: str) -> None:
    place = chapter_place(url, CHAPTER)
    assert place is not None and place.site == site
    assert place.url == (f"https://mangadex.org/chapter/{CHAPTER}" if site == "MangaDex" else url)


def test_a_chapter_that_is_nowhere_has_no_place() -> None:
    assert chapter_place(None, None) is None


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130 Safari/537.36 Edg/130.0",
            "Edge on Windows",
        ),
        ("curl/8.0", "a browser"),
        ("", "a browser"),
    ],
)
def test_a_browser_is_named_as_its_reader_knows_it(agent: str, words: str) -> None:
    assert describe_browser(agent) == words


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = Cursor(datetime(2026, 12, 3, 12, 30, 0, 123456, tzinfo=UTC), 42)
    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-1-2", "1-2-3", "9" * 18 + "-1", "1-" + "9" * 19, "١-١"]
)
def test_what_is_no_cursor_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        Cursor.parse(text)
