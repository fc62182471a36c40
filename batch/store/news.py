"""Stores what is new of some titles: rows, announcements and events in one transaction.

    read titles → decide (pure) → rows → announcements → events (pure) → outbox      one commit

Titles are stored many at a time. Where the database rejects something, they are stored one by one,
so that the others are stored all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import psycopg

import sql
from batch.errors import BatchError
from batch.models import Chapter, OutboxEvent, Rejected
from batch.rules import baselines as baseline_rules
from batch.rules import chapters as chapter_rules
from batch.rules import events
from batch.rules.chapter_models import Rules, Title, TitleChanges
from batch.store import baselines, chapters, outbox, rejections, releases
from batch.store.chapters import Changes, Uploads
from batch.store.titles import take_turn
from sql import Connection

MAX_TITLES = 100  # in one transaction

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How uploads are judged.

    Attributes:
        listed: all uploads that the source has of the titles, also those that could not be read;
            None where not all of them were asked for.
        are_recent: the uploads are those that came lately; some need the title's whole feed.
    """

    rules: Rules
    now: datetime
    listed: frozenset[UUID] | None = None
    are_recent: bool = False


@dataclass(slots=True)
class News:
    """What was stored of some titles.

    Attributes:
        titles: how many of them are tracked.
        chapters, events: how many are new.
        gone: stored uploads that cannot be read any more.
        rejected: titles that could not be stored, and chapters that were stored in part.
        unjudged: titles of which nothing is stored before their baseline is found.
        late: titles of which nothing is stored before their whole feed is read.
        doubtful: titles whose whole feed may show that their baseline is wrong.
    """

    titles: int = 0
    chapters: int = 0
    events: int = 0
    gone: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    unjudged: list[Title] = field(default_factory=list)
    late: list[UUID] = field(default_factory=list)
    doubtful: list[UUID] = field(default_factory=list)

    def add(self, other: News) -> None:
        """Add what was stored of other titles."""
        self.titles += other.titles
        self.chapters += other.chapters
        self.events += other.events
        self.gone += other.gone
        self.rejected += other.rejected
        self.unjudged += other.unjudged
        self.late += other.late
        self.doubtful += other.doubtful


def store_news(connection: Connection, uploads: Uploads, terms: Terms) -> News:
    """Store and announce what is new among the uploads of at most MAX_TITLES titles.

    Args:
        connection: outside of a transaction, or in the one of the caller that it is part of.
        uploads: by `manga.mangadex_id`.

    Raises:
        BatchError: no chapter can be stored, for want of a right or of a column.
    """
    try:
        with connection.transaction():
            return _store_set(connection, uploads, terms, chapters.apply_changes)
    except sql.REJECTIONS:  # first: what a trigger raises is a ProgrammingError too
        if len(uploads) == 1:
            return _store_singly(connection, uploads, terms)
    except psycopg.ProgrammingError as exc:
        raise BatchError(f"chapters cannot be stored: {sql.one_line(exc)}") from exc
    result = News()
    for key, found in uploads.items():
        result.add(store_news(connection, {key: found}, terms))
    return result


def _store_singly(connection: Connection, uploads: Uploads, terms: Terms) -> News:
    """Store one title's chapters row by row: what is wrong with one may be only its title."""
    try:
        with connection.transaction():
            return _store_set(connection, uploads, terms, chapters.apply_singly)
    except sql.REJECTIONS as exc:
        reason = f"the database rejects its chapters: {sql.one_line(exc)}"
        return News(rejected=[Rejected(str(key), reason) for key in uploads])


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
    found = baseline_rules.find_baselines(title, history, languages)
    baselines.save_baselines(connection, title.id, found)
    return True


def _store_set(
    connection: Connection,
    uploads: Uploads,
    terms: Terms,
    apply: Callable[[Connection, Changes], list[Rejected]],
) -> News:
    take_turn(connection)
    news, listed = News(), terms.listed
    changed: list[tuple[Title, TitleChanges]] = []
    for title in chapters.read_titles(connection, uploads, with_all_rows=listed is not None):
        news.titles += 1
        found = uploads[title.mangadex_id]
        title = title if listed is None else _lower_baselines(connection, title, found)
        readable = chapter_rules.select_readable(found, terms.rules, terms.now)
        if baseline_rules.needs_baseline(title, readable):
            news.unjudged.append(title)
            continue
        if terms.are_recent and baseline_rules.comes_late(title, readable):
            news.late.append(title.mangadex_id)
            continue
        if terms.are_recent and baseline_rules.doubts_baseline(title, readable):
            news.doubtful.append(title.mangadex_id)
        gone = chapter_rules.find_gone(title, found, listed, terms.rules.languages)
        news.gone += len(gone)
        changed.append((title, chapter_rules.decide_changes(title, readable, gone)))
    news.rejected += apply(connection, changed)
    came = [(title.id, uploads[title.mangadex_id]) for title, _ in changed]
    releases.store_groups(connection, [chapter for _, found in came for chapter in found])
    releases.note_days(connection, came, terms.now)
    chapters.lower_totals(connection, _wholes(changed, chapter_rules.highest_withdrawn))
    chapters.raise_totals(connection, _wholes(changed, chapter_rules.highest_found))
    news.chapters = sum(len(changes.inserts) for _, changes in changed)
    news.events = outbox.add_events(connection, _announce(connection, changed))
    return news


def _lower_baselines(connection: Connection, title: Title, feed: Sequence[Chapter]) -> Title:
    """Lower baselines to what is left of a title's whole feed; return the title with them."""
    lowered = {each.language: each for each in baseline_rules.lower_baselines(title, feed)}
    if not lowered:
        return title
    for language, baseline in lowered.items():
        log.info(
            "Lowered a baseline whose upload was withdrawn manga=%d language=%s to=%s",
            title.id,
            language,
            baseline.number,
        )
    baselines.lower_baselines(connection, title.id, list(lowered.values()))
    title = replace(title, baselines={**title.baselines, **lowered})
    taken_down = baseline_rules.find_taken_down(title, feed)
    chapters.announce(connection, [(title.id, each) for each in taken_down])
    return title


def _announce(connection: Connection, changed: Changes) -> list[OutboxEvent]:
    made = chapters.announce(
        connection,
        [(title.id, each) for title, changes in changed for each in changes.announcements],
    )
    found: list[OutboxEvent] = []
    for title, changes in changed:
        first = [each for each in changes.announcements if (title.id, each.key) in made]
        known = chapter_rules.known_before(title, changes)
        found += events.chapter_events(known, first, changes.uploads)
    return found


def _wholes(changed: Changes, find: Callable[[TitleChanges], Decimal | None]) -> Mapping[int, int]:
    """Return the whole part of what is found in each title's changes, by `manga.id`."""
    found = {title.id: find(changes) for title, changes in changed}
    return {manga_id: int(number) for manga_id, number in found.items() if number is not None}
