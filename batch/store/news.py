"""Stores what is new of some titles: rows, announcements and events in one transaction.

    read titles → decide (pure) → rows → announcements → events (pure) → outbox      one commit

Titles are stored many at a time. Where the database rejects something, they are stored one by one,
so that the others are stored all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

import sql
from batch.errors import BatchError
from batch.models import Chapter, OutboxEvent, Rejected
from batch.rules import chapters as chapter_rules
from batch.rules import events
from batch.rules.chapters import Rules, Title, TitleChanges
from batch.store import chapters, outbox, rejections
from batch.store.chapters import Changes, Uploads
from batch.store.titles import take_turn
from sql import Connection

MAX_TITLES = 100  # in one transaction


@dataclass(slots=True)
class News:
    """What was stored of some titles.

    Attributes:
        titles: how many of them are tracked.
        chapters, events: how many are new.
        gone: stored uploads that nobody can read any more.
        rejected: titles that could not be stored.
        unjudged: titles of which nothing is stored before their baseline is found.
    """

    titles: int = 0
    chapters: int = 0
    events: int = 0
    gone: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    unjudged: list[Title] = field(default_factory=list)

    def add(self, other: News) -> None:
        """Take in what was stored of other titles."""
        self.titles += other.titles
        self.chapters += other.chapters
        self.events += other.events
        self.gone += other.gone
        self.rejected += other.rejected
        self.unjudged += other.unjudged


def store_news(
    connection: Connection,
    uploads: Uploads,
    rules: Rules,
    now: datetime,
    are_complete: bool = False,
) -> News:
    """Store and announce what is new among the uploads of at most MAX_TITLES titles.

    Args:
        connection: outside of a transaction, or in the one of the caller that it is part of.
        uploads: by `manga.mangadex_id`.
        are_complete: whether these are all uploads that the titles have.

    Raises:
        BatchError: no chapter can be stored, for want of a right or of a column.
    """
    try:
        with connection.transaction():
            return _store_set(connection, uploads, rules, now, are_complete)
    except sql.REJECTIONS as exc:  # first: what a trigger raises is a ProgrammingError too
        if len(uploads) == 1:
            reason = f"the database rejects its chapters: {sql.one_line(exc)}"
            return News(rejected=[Rejected(str(key), reason) for key in uploads])
    except psycopg.ProgrammingError as exc:
        raise BatchError(f"chapters cannot be stored: {sql.one_line(exc)}") from exc
    result = News()
    for key, found in uploads.items():
        result.add(store_news(connection, {key: found}, rules, now, are_complete))
    return result


def fix_baselines(
    connection: Connection,
    title: Title,
    history: Sequence[Chapter],
    rejected: Sequence[Rejected],
    languages: Iterable[str],
) -> bool:
    """Find and store a title's baselines; return False while `rejected` may hold one.

    Args:
        history: the title's feed, at least up to its first sync.
        rejected: entries of the feed that could not be read.
    """
    if not rejections.are_known(connection, rejected):
        return False
    baselines = chapter_rules.find_baselines(title, history, languages)
    chapters.save_baselines(connection, title.id, baselines)
    return True


def _store_set(
    connection: Connection, uploads: Uploads, rules: Rules, now: datetime, are_complete: bool
) -> News:
    take_turn(connection)
    news = News()
    changed: list[tuple[Title, TitleChanges]] = []
    for title in chapters.read_titles(connection, uploads):
        news.titles += 1
        found = uploads[title.mangadex_id]
        readable = chapter_rules.select_readable(found, rules, now)
        if chapter_rules.needs_baseline(title, readable):
            news.unjudged.append(title)
            continue
        gone = chapter_rules.find_gone(title, found, are_complete)
        news.gone += len(gone)
        changed.append((title, chapter_rules.decide_changes(title, readable, gone)))
    chapters.apply_changes(connection, changed)
    chapters.raise_totals(connection, _highest_numbers(changed))
    news.chapters = sum(len(changes.inserts) for _, changes in changed)
    news.events = outbox.add_events(connection, _announce(connection, changed))
    return news


def _announce(connection: Connection, changed: Changes) -> list[OutboxEvent]:
    made = chapters.announce(
        connection,
        [(title.id, each) for title, changes in changed for each in changes.announcements],
    )
    found: list[OutboxEvent] = []
    for title, changes in changed:
        first = [each for each in changes.announcements if (title.id, each.key) in made]
        found += events.chapter_events(title, first)
    return found


def _highest_numbers(changed: Changes) -> Mapping[int, int]:
    """Return the whole part of the highest new number, by `manga.id`."""
    highest: dict[int, int] = {}
    for title, changes in changed:
        for each in changes.announcements:
            if each.number is not None:
                highest[title.id] = max(int(each.number), highest.get(title.id, 0))
    return highest
