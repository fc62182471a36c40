"""What may be set for a channel, and when a digest is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from notify_server.events.kinds import KINDS
from readers.channels.options import TYPES, next_digest, parse_digest, parse_only
from readers.errors import InvalidPreference


def test_the_kinds_are_those_of_the_server() -> None:
    assert {kind.name: kind.datagram_type for kind in KINDS.values()} == TYPES


def test_kinds_become_types_of_notifications() -> None:
    assert parse_only("new-chapter, NEW-MANGA,new-chapter") == ["NEW_CHAPTER", "NEW_MANGA"]
    assert parse_only("all") is None


@pytest.mark.parametrize("text", ["", "new-chapter,", "chapters", "all,new-chapter"])
def test_what_is_no_kind_is_rejected(text: str) -> None:
    with pytest.raises(InvalidPreference, match="new-chapter, new-manga, manga-update"):
        parse_only(text)


@pytest.mark.parametrize("text", ["", "daily", "daily@7:00", "daily@24:00", "daily@07:60", "7:00"])
def test_what_is_no_digest_is_rejected(text: str) -> None:
    with pytest.raises(InvalidPreference, match="daily@07:00"):
        parse_digest(text, "UTC")


def test_a_zone_that_is_not_known_is_rejected_with_one_that_is() -> None:
    with pytest.raises(InvalidPreference, match="Europe/Berlin"):
        parse_digest("daily@07:00", "Europe/Berln")
    for zone in ("", "/etc/passwd", "../UTC", "x" * 500):
        with pytest.raises(InvalidPreference, match="no time zone"):
            parse_digest("daily@07:00", zone)


@pytest.mark.parametrize(
    ("text", "zone", "now", "due"),
    [
        ("daily@07:00", "UTC", "2027-01-01T06:59:59", "2027-01-01T07:00:00"),
        ("daily@07:00", "utc", "2027-01-01T07:00:00", "2027-01-02T07:00:00"),
        ("daily@07:00", "europe/berlin", "2027-01-01T05:00:00", "2027-01-01T06:00:00"),
        ("daily@07:00", "Europe/Berlin", "2027-07-01T05:00:01", "2027-07-02T05:00:00"),
        ("daily@00:30", "Pacific/Auckland", "2027-01-01T11:00:00", "2027-01-01T11:30:00"),
        # The night in which the clocks go forward has no 02:30, the one back has it twice.
        ("daily@02:30", "Europe/Berlin", "2027-03-28T00:00:00", "2027-03-28T01:30:00"),
        ("daily@02:30", "Europe/Berlin", "2027-10-31T00:31:00", "2027-11-01T01:30:00"),
    ],
)
def test_a_digest_is_due_once_a_day(text: str, zone: str, now: str, due: str) -> None:
    digest = parse_digest(text, zone)
    assert digest is not None
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert next_digest(digest, moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)
