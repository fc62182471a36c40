"""What a reader may set for a channel: which notifications, and at once or once a day. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from readers.errors import InvalidPreference

# The kinds of events, and the type that their notifications have.
TYPES = {
    "new-chapter": "NEW_CHAPTER",
    "new-manga": "NEW_MANGA",
    "manga-update": "MANGA_UPDATE",
}
_KINDS = {type: kind for kind, type in TYPES.items()}


@dataclass(frozen=True, slots=True)
class Digest:
    """One message a day.

    Attributes:
        at: the time of day in the zone.
        zone: a name of the tz database.
    """

    at: time
    zone: str

    def __str__(self) -> str:
        return f"daily@{self.at:%H:%M}"


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader has set for one channel.

    Attributes:
        only: types of notifications; None for all.
        digest: None for a message at once.
    """

    only: list[str] | None = None
    digest: Digest | None = None

    @property
    def kinds(self) -> list[str] | None:
        """The kinds of events, as a reader names them."""
        return None if self.only is None else [_KINDS.get(type, type) for type in self.only]


def parse_only(text: str) -> list[str] | None:
    """Return types of notifications; None for `all`.

    Raises:
        InvalidPreference: one is no kind of event.
    """
    kinds = list(dict.fromkeys(kind.strip().lower() for kind in text.split(",")))
    if kinds == ["all"]:
        return None
    for kind in kinds:
        if kind not in TYPES:
            raise InvalidPreference(
                f"{kind!r} is no kind of notification: it must be all, or of {', '.join(TYPES)}"
            )
    return [TYPES[kind] for kind in kinds]


def parse_digest(text: str, zone: str) -> Digest | None:
    """Return the digest of a text like `daily@07:00`; None for `off`.

    Raises:
        InvalidPreference: it is none, or there is no such time zone.
    """
    zone = _known_zone(zone.strip())
    if text.strip().lower() == "off":
        return None
    match = re.fullmatch(r"daily@([01][0-9]|2[0-3]):([0-5][0-9])", text.strip().lower())
    if match is None:
        raise InvalidPreference(f"{text!r} is no digest: it must be like daily@07:00, or off")
    return Digest(time(int(match[1]), int(match[2])), zone)


def _known_zone(name: str) -> str:
    if name.upper() == "UTC":
        return "UTC"
    known = {zone.lower(): zone for zone in available_timezones()}
    if zone := known.get(name.lower()):
        return zone
    near = difflib.get_close_matches(name.lower(), known, 3, 0.6)
    hint = f"; near it: {', '.join(known[each] for each in near)}" if near else ""
    raise InvalidPreference(
        f"{name!r} is no time zone: it must be like Europe/Berlin, or UTC{hint}"
    )


def next_digest(digest: Digest, now: datetime) -> datetime:
    """Return the next time at which a digest is due, after `now`."""
    zone = _zone(digest.zone)
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=n) for n in range(3))
    moments = (datetime.combine(day, digest.at, zone).astimezone(UTC) for day in days)
    return next(moment for moment in moments if moment > now)


def _zone(name: str) -> tzinfo:
    # UTC needs no tz database; a zone that this machine does not know any more counts as UTC.
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
