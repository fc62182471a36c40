"""Bring a list: match its entries, fill the library, keep what was not found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import sql
from readers.lists import catalogue, kept, store
from readers.lists.entries.entry import Entry, merge
from readers.lists.kept import KeptEntry
from readers.lists.matching import Match
from readers.lists.reading import ReadList
from readers.lists.report import Report, ReportedEntry
from readers.users import User

_AT_ONCE = 100  # entries of one transaction


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry of a list with what it is, and what was kept of it before."""

    entry: Entry
    match: Match
    before: KeptEntry | None


def import_list(
    connection: sql.Connection, user: User, read: ReadList, *, is_dry_run: bool = False
) -> Report:
    """Put a list's titles into a reader's library, and keep what is not matched.

    Statuses never fall back, the higher progress counts, and what the reader has decided stays.
    A run that is killed has done some hundreds of entries; the same list again does the rest.

    Args:
        is_dry_run: do all of it, and undo it.

    Raises:
        NotFound: the user is not there any more.
    """
    with connection.transaction(force_rollback=True) if is_dry_run else nullcontext():
        found = _match(connection, user, read.entries)
        reported: list[ReportedEntry] = []
        for start in range(0, len(found), _AT_ONCE):
            reported += _write(connection, user, found[start : start + _AT_ONCE])
    return Report(read.format, is_dry_run, reported, read.ignored)


def _match(connection: sql.Connection, user: User, entries: Sequence[Entry]) -> list[_Found]:
    """Match all entries; what is known of them from before counts."""
    before = kept.read_kept(connection, user, [entry.key for entry in entries])
    asked = [_with_learned_id(entry, before.get(entry.key)) for entry in entries]
    matches = catalogue.match_entries(connection, asked)
    found = []
    for entry, match in zip(entries, matches, strict=True):
        known = before.get(entry.key)
        found.append(_Found(entry, _settle(match, known), known))
    return found


def _with_learned_id(entry: Entry, before: KeptEntry | None) -> Entry:
    """Return the entry with the id that its old number was found to be."""
    if entry.mangadex_id is None and before is not None and entry.legacy_id is not None:
        return replace(entry, mangadex_id=before.entry.mangadex_id)
    return entry


def _settle(match: Match, before: KeptEntry | None) -> Match:
    """Return what counts: what the reader decided, or was matched once, or is known to be gone."""
    if before is None:
        return match
    if before.is_decided and before.match.manga_id is None:
        return replace(before.match, why="you decided that it is none of the titles here")
    if before.is_decided:
        return replace(before.match, why="you decided so")
    was_matched = before.match.manga_id is not None and match.state != "matched"
    is_asked_for = before.match.state in ("wanted", "unmatched") and match.state == "wanted"
    return before.match if was_matched or is_asked_for else match


def _write(connection: sql.Connection, user: User, found: Sequence[_Found]) -> list[ReportedEntry]:
    with connection.transaction():
        store.lock_reader(connection, user)
        new = store.add_titles(connection, user, _by_title(found))
        kept.keep(connection, user, [_kept(each) for each in found if _is_kept(each)])
    return [
        ReportedEntry(each.entry, each.match, _take(new, each.match.manga_id)) for each in found
    ]


def _by_title(found: Sequence[_Found]) -> dict[int, Entry]:
    """Return what the entries say of each matched title; several may be one title."""
    titles: dict[int, Entry] = {}
    for each in found:
        if (id := each.match.manga_id) is not None:
            entry = merge(each.before.entry, each.entry) if each.before else each.entry
            titles[id] = merge(titles[id], entry) if id in titles else entry
    return dict(sorted(titles.items()))


def _is_kept(found: _Found) -> bool:
    """Say whether a row is to be written: what is matched at once leaves none."""
    if found.match.state != "matched":
        return found.before is None or not found.before.is_decided
    return found.before is not None and found.before.match.state != "matched"


def _kept(found: _Found) -> tuple[str, Entry, Match]:
    entry = merge(found.before.entry, found.entry) if found.before else found.entry
    return found.entry.key, entry, found.match


def _take(new: set[int], manga_id: int | None) -> bool:
    """Say whether a title is new, once: the first entry added it, another one found it there."""
    if manga_id not in new:
        return False
    new.remove(manga_id)
    return True
