"""Items that could not be read or stored, with the reason, in the metadata of their workflow."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from batch.errors import BatchError
from batch.models import Rejected
from batch.store import sync_state
from sql import Connection

MAX_REASON = 300  # characters kept of a reason
MAX_REJECTED = 2_000
MAX_CHAPTERS = 500  # ids of the feeds' entries and their titles, for each of the workflows
CHAPTER_WORKFLOWS = ("chapter_feed", "chapter_check")
RETRIES = 3  # at each of the next runs; further ones less and less often
FIRST_GAP = timedelta(hours=1)  # doubled by each further attempt
LONGEST_GAP = timedelta(days=7)

log = logging.getLogger(__name__)


def record(
    connection: Connection, sync_type: str, rejected: Sequence[Rejected], now: datetime
) -> None:
    """Record what could not be stored and why; later runs of the workflow try it again.

    Raises:
        BatchError: there are more than MAX_REJECTED, so that single items are not the cause.
    """
    for item in rejected:
        log.warning("Rejected id=%s reason=%s", item.mangadex_id, item.reason)
    if not rejected:
        return
    with connection.transaction():
        known = sync_state.lock(connection, sync_type).rejected
        for item in rejected:
            known[item.mangadex_id] = _tried_again(known.get(item.mangadex_id, {}), item, now)
        if len(known) > MAX_REJECTED:
            raise BatchError(
                f"{sync_type}: more than {MAX_REJECTED:,} items cannot be stored; the source's"
                f" answers may have changed; the last one: {rejected[-1].reason[:MAX_REASON]}"
            )
        sync_state.note(connection, sync_type, rejected=known)


def clear(connection: Connection, sync_type: str, ids: Iterable[str]) -> None:
    """Forget the rejections of items that have been stored since."""
    stored = set(ids)
    with connection.transaction():
        known = sync_state.lock(connection, sync_type).rejected
        if not stored.isdisjoint(known):
            kept = {key: why for key, why in known.items() if key not in stored}
            sync_state.note(connection, sync_type, rejected=kept)


def read_due(connection: Connection, sync_type: str, now: datetime) -> list[UUID]:
    """Return the ids to ask for again now: after RETRIES at growing intervals, without end."""
    known = sync_state.read(connection, sync_type).rejected
    return [UUID(key) for key, why in known.items() if _is_id(key) and _is_due(why, now)]


def read_nameless(connection: Connection, sync_type: str) -> list[str]:
    """Return the descriptions of items without an id."""
    return [key for key in sync_state.read(connection, sync_type).rejected if not _is_id(key)]


def _is_id(key: str) -> bool:
    try:
        return bool(UUID(key))
    except ValueError:
        return False


def record_chapters(
    connection: Connection, sync_type: str, rejected: Sequence[Rejected], now: datetime
) -> None:
    """Record entries of feeds and their titles, at most MAX_CHAPTERS of them.

    Feeds list them again, so that nothing is lost where the API's answers change for all.
    """
    known = sync_state.read(connection, sync_type).rejected if rejected else {}
    again = [item for item in rejected if item.mangadex_id in known]
    first = [item for item in rejected if item.mangadex_id not in known]
    record(connection, sync_type, [*again, *first[: max(MAX_CHAPTERS - len(known), 0)]], now)


def clear_chapters(connection: Connection, ids: Iterable[str]) -> None:
    """Clear for both chapter workflows: either can store what the other could not."""
    stored = list(ids)
    for sync_type in CHAPTER_WORKFLOWS:
        clear(connection, sync_type, stored)


def are_known(connection: Connection, rejected: Sequence[Rejected]) -> bool:
    """Return whether a chapter workflow has rejected all of these before.

    An entry that cannot be read may be the one that decides, so it is read a second time; one
    that can never be read must not delay its title for ever.
    """
    if not rejected:
        return True
    known = {
        key for name in CHAPTER_WORKFLOWS for key in sync_state.read(connection, name).rejected
    }
    return len(known) >= MAX_CHAPTERS or all(item.mangadex_id in known for item in rejected)


def _is_due(why: Mapping[str, object], now: datetime) -> bool:
    attempts = why.get("attempts")
    if not isinstance(attempts, int) or attempts < RETRIES:
        return True
    try:
        last_at = datetime.fromisoformat(str(why.get("last_at")))
    except ValueError:
        return True
    return now >= last_at + min(FIRST_GAP * (1 << min(attempts - RETRIES, 16)), LONGEST_GAP)


def _tried_again(before: Mapping[str, object], item: Rejected, now: datetime) -> dict[str, object]:
    attempts = before.get("attempts")
    return {
        "reason": item.reason[:MAX_REASON],
        "first_at": before.get("first_at", now.isoformat()),
        "last_at": now.isoformat(),
        "attempts": attempts + 1 if isinstance(attempts, int) else 1,
    }
