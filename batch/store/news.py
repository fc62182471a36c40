"""Stores what is new of some titles: rows, announcements and events in one transaction.

    read titles → changes (pure) → rows → announcements → events (pure) → outbox      one commit

Titles are stored many at a time. Where the database refuses something, the same is done title by
title, so that one title's trouble is its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

import sql
from batch.config import Config
from batch.errors import BatchError
from batch.models import Chapter, Event, Rejected
from batch.rules import chapters as chapter_rules
from batch.rules import events
from batch.rules.chapters import Announcement, Rules, Title, TitleChanges
from batch.store import chapters, outbox, sync_state
from batch.store.titles import take_turn
from sql import Connection

MAX_TITLES = 100  # in one transaction
MAX_REFUSED = 500  # remembered; a change of the API's answers could break all of them
_REFUSING = ("chapter_feed", "chapter_check")

log = logging.getLogger(__name__)

Uploads = Mapping[UUID, Sequence[Chapter]]


@dataclass(slots=True)
class News:
    """What came of it: new chapters and events that were stored, titles that could not be."""

    chapters: int = 0
    events: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, other: News) -> None:
        self.chapters += other.chapters
        self.events += other.events
        self.rejected.extend(other.rejected)


def rules_of(config: Config) -> Rules:
    """What of the settings decides about news."""
    return Rules(frozenset(config.languages), config.blocked_groups, config.blocked_uploaders)


def record_refused(
    connection: Connection, sync_type: str, rejected: Sequence[Rejected], now: datetime
) -> None:
    """Notes for `status` what could not be read or stored, within bounds."""
    for item in rejected:
        log.warning("Cannot be used id=%s reason=%s", item.mangadex_id, item.reason)
    known = set(sync_state.rejected_ids(connection, sync_type)) if rejected else set()
    room = MAX_REFUSED - len(known)
    old = [item for item in rejected if item.mangadex_id in known]
    new = [item for item in rejected if item.mangadex_id not in known]
    sync_state.record_rejected(connection, sync_type, [*old, *new[: max(room, 0)]], now)


def are_known(connection: Connection, rejected: Sequence[Rejected]) -> bool:
    """Whether none of these is refused for the first time.

    An entry that cannot be read may be the one that matters, so it is given a second chance; one
    that stays so must not hold up its title for ever.
    """
    if not rejected:
        return True
    known = {key for name in _REFUSING for key in sync_state.rejected_ids(connection, name)}
    return len(known) >= MAX_REFUSED or all(item.mangadex_id in known for item in rejected)


def forget_refused(connection: Connection, ids: Sequence[str]) -> None:
    """What could not be read or stored before can be now, whichever workflow finds it so."""
    for sync_type in _REFUSING:
        sync_state.clear_rejected(connection, sync_type, ids)


def store_news(
    connection: Connection,
    uploads: Uploads,
    rules: Rules,
    now: datetime,
    gone: frozenset[UUID] = frozenset(),
) -> News:
    """Stores and announces what is new among the uploads of tracked titles.

    Args:
        connection: outside of a transaction, or in one of the caller's that it shall be part of.
        gone: uploads that are known to be readable no more.

    Raises:
        BatchError: the database takes no chapter at all, for want of a right or of a column.
    """
    keys = list(uploads)
    result = News()
    for start in range(0, len(keys), MAX_TITLES):
        part = {key: uploads[key] for key in keys[start : start + MAX_TITLES]}
        result.add(_store_part(connection, part, rules, now, gone))
    return result


def _store_part(
    connection: Connection, uploads: Uploads, rules: Rules, now: datetime, gone: frozenset[UUID]
) -> News:
    try:
        with connection.transaction():
            return _store_set(connection, uploads, rules, now, gone)
    except sql.REJECTIONS as exc:  # first: what a trigger raises is a ProgrammingError too
        if len(uploads) == 1:
            return News(rejected=[_refusal(next(iter(uploads)), exc)])
    except psycopg.ProgrammingError as exc:
        raise BatchError(f"chapters cannot be stored: {sql.one_line(exc)}") from exc
    result = News()
    for key, value in uploads.items():
        result.add(_store_part(connection, {key: value}, rules, now, gone))
    return result


def _refusal(mangadex_id: UUID, exc: psycopg.Error) -> Rejected:
    return Rejected(str(mangadex_id), f"the database refuses its chapters: {sql.one_line(exc)}")


def _store_set(
    connection: Connection, uploads: Uploads, rules: Rules, now: datetime, gone: frozenset[UUID]
) -> News:
    take_turn(connection)
    changed = [
        (title, chapter_rules.decide_changes(title, readable, gone))
        for title in chapters.read_titles(connection, uploads)
        if (readable := chapter_rules.select_readable(uploads[title.mangadex_id], rules, now))
    ]
    chapters.apply_plans(connection, changed)
    chapters.raise_totals(connection, _highest_numbers(changed))
    news = _announce(connection, changed)
    return News(
        sum(len(changes.inserts) for _, changes in changed),
        outbox.add_events(connection, news),
    )


def _announce(connection: Connection, changed: Sequence[tuple[Title, TitleChanges]]) -> list[Event]:
    won = chapters.announce(
        connection,
        [
            (title.id, announcement)
            for title, changes in changed
            for announcement in changes.announcements
        ],
    )
    return [
        event
        for title, changes in changed
        for event in events.chapter_events(title, _winners(title, changes.announcements, won))
    ]


def _winners(
    title: Title,
    announcements: Iterable[Announcement],
    won: set[tuple[int, chapter_rules.ChapterKey]],
) -> list[Announcement]:
    return [announcement for announcement in announcements if (title.id, announcement.key) in won]


def _highest_numbers(changed: Iterable[tuple[Title, TitleChanges]]) -> dict[int, int]:
    """Whole parts, of titles that have new chapters with a number."""
    highest: dict[int, int] = {}
    for title, changes in changed:
        for announcement in changes.announcements:
            if announcement.number is not None:
                highest[title.id] = max(int(announcement.number), highest.get(title.id, 0))
    return highest
