"""Baselines: up to where a title's chapters are history. Pure.

They are found from a title's feed, and fall where the source withdraws what they rest on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from batch.models import Chapter
from batch.rules.chapter_models import (
    ALL_LANGUAGES,
    Announcement,
    Baseline,
    ChapterKey,
    Position,
    Title,
    key_of,
)


def baseline_of(title: Title, language: str) -> Baseline | None:
    """Return the baseline of the language, or of all languages; None where it is unknown.

    One that was found while the title's numbers were counted the other way is of no use.
    """
    for key in (language, ALL_LANGUAGES):
        baseline = title.baselines.get(key)
        if baseline and (
            baseline.number is None or (baseline.volume is not None) == title.numbering_restarts
        ):
            return baseline
    return None


def is_new(chapter: Chapter, key: ChapterKey, title: Title) -> bool:
    """Return whether it is above the baseline, or without a position appeared since.

    What comes back from before the first sync is history, also above a baseline that was lowered.
    """
    position, baseline = key.position(title.numbering_restarts), baseline_of(title, key.language)
    if position is None or (baseline is not None and baseline.is_lowered):
        has_appeared_since = chapter.appeared_at >= title.first_synced_at
        return has_appeared_since and (position is None or is_above_baseline(key, title))
    return is_above_baseline(key, title)


def is_above_baseline(key: ChapterKey, title: Title) -> bool:
    """Return False also where no baseline is known: `needs_baseline` found that none is needed."""
    position = key.position(title.numbering_restarts)
    baseline = baseline_of(title, key.language)
    if baseline is None or position is None:
        return False
    return baseline.position is None or position > baseline.position


def needs_baseline(title: Title, readable: Iterable[Chapter]) -> bool:
    """Return whether one of these can only be judged with a baseline that is unknown."""
    stored = {row.mangadex_chapter_id for row in title.stored}
    taken = {row.key for row in title.stored if row.manga_id == title.id}
    for chapter in readable:
        key = key_of(chapter, title.numbering_restarts)
        appeared_since = chapter.appeared_at >= title.first_synced_at
        if (
            (appeared_since or chapter.mangadex_chapter_id in stored)
            and key not in taken
            and key.position(title.numbering_restarts) is not None
            and baseline_of(title, key.language) is None
        ):
            return True
    return False


def find_baselines(
    title: Title, feed: Iterable[Chapter], languages: Iterable[str]
) -> list[Baseline]:
    """Return the baselines of the languages, from the whole feed.

    Every upload counts, whoever made it and whether or not it was taken down since.
    """
    highest = _highest_before(title, feed)
    return [_baseline(language, highest.get(language), title) for language in sorted(languages)]


def lower_baselines(title: Title, feed: Sequence[Chapter]) -> list[Baseline]:
    """Return the baselines whose uploads were withdrawn or corrected, lowered to what is left.

    Args:
        feed: all uploads that are listed. A language without any proves nothing.
    """
    available = [chapter for chapter in feed if not chapter.is_unavailable]
    left = _highest_before(title, available)
    # A number that is there counts, also by another upload, or with another date.
    listed = {(each.translated_language, _position(title, each)) for each in available}
    lowered = []
    for language in sorted({chapter.translated_language for chapter in feed}):
        known, position = baseline_of(title, language), left.get(language)
        if known is None or known.position is None or (language, known.position) in listed:
            continue
        if known.language == ALL_LANGUAGES and not _is_withdrawn(known, language, title, feed):
            continue
        if position is None or position < known.position:
            lowered.append(replace(_baseline(language, position, title), is_lowered=True))
    return lowered


def _is_withdrawn(known: Baseline, language: str, title: Title, feed: Sequence[Chapter]) -> bool:
    """Return whether the total of an adopted title was that of stored uploads that are gone.

    It may as well be the announced end of the series, which rests on no upload.
    """
    numbers = {c.mangadex_chapter_id: c.number for c in feed if not c.is_unavailable}
    uploads = [
        row.mangadex_chapter_id
        for row in title.stored
        if row.manga_id == title.id
        and (row.key.language, row.key.number) == (language, known.number)
        and row.mangadex_chapter_id is not None
    ]
    return bool(uploads) and all(numbers.get(each) != known.number for each in uploads)


def find_taken_down(title: Title, feed: Sequence[Chapter]) -> list[Announcement]:
    """Return what was readable before, above a lowered baseline: marked, so never announced.

    Somebody else may upload it again.
    """
    keys = {
        key_of(chapter, title.numbering_restarts)
        for chapter in feed
        if chapter.is_unavailable and chapter.appeared_at < title.first_synced_at
    }
    return [Announcement(key, has_event=False) for key in keys if is_above_baseline(key, title)]


def _highest_before(title: Title, feed: Iterable[Chapter]) -> dict[str, Position]:
    """Return the highest position of each language that appeared before the first sync."""
    highest: dict[str, Position] = {}
    for chapter in feed:
        position, language = _position(title, chapter), chapter.translated_language
        if position and chapter.appeared_at < title.first_synced_at:
            highest[language] = max(position, highest.get(language, position))
    return highest


def _position(title: Title, chapter: Chapter) -> Position | None:
    return key_of(chapter, title.numbering_restarts).position(title.numbering_restarts)


def _baseline(language: str, highest: Position | None, title: Title) -> Baseline:
    if highest is None:
        return Baseline(language, None)
    return Baseline(language, highest.number, highest.volume if title.numbering_restarts else None)


def comes_late(title: Title, readable: Iterable[Chapter]) -> bool:
    """Return whether something new is lower than what is stored.

    Either it comes late, or the source has corrected the higher number since.
    """
    taken = {row.key for row in title.stored if row.manga_id == title.id}
    return any(
        key not in taken and is_above_baseline(key, title) and not _is_above_stored(key, title)
        for key in _unchecked_keys(title, readable)
    )


def doubts_baseline(title: Title, readable: Iterable[Chapter]) -> bool:
    """Return whether something appeared since the first sync that is not above its baseline.

    Mostly an old chapter is uploaded again; but it may be that the baseline was withdrawn.
    """
    return any(
        key.position(title.numbering_restarts) is not None
        and baseline_of(title, key.language) is not None
        and not is_above_baseline(key, title)
        for key in _unchecked_keys(title, readable)
    )


def _unchecked_keys(title: Title, readable: Iterable[Chapter]) -> list[ChapterKey]:
    """Return the keys of what appeared since the first sync, and since the feed was read whole."""
    since = title.first_synced_at
    if title.checked_at is not None:
        since = max(since, title.checked_at.replace(microsecond=0))
    stored = {row.mangadex_chapter_id for row in title.stored}
    return [
        key_of(chapter, title.numbering_restarts)
        for chapter in readable
        if chapter.appeared_at >= since and chapter.mangadex_chapter_id not in stored
    ]


def _is_above_stored(key: ChapterKey, title: Title) -> bool:
    position = key.position(title.numbering_restarts)
    rows = (
        row.key.position(title.numbering_restarts)
        for row in title.stored
        if row.manga_id == title.id and row.key.language == key.language and not row.is_gone
    )
    return position is not None and all(each is None or each < position for each in rows)
