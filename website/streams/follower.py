"""Follows the database: what is stored and marked goes to the streams.

LISTEN/NOTIFY only wakes it up; the rows decide. Each turn is one transaction with one snapshot,
in which the live streams get what is new, and those behind what they missed. So all of them have
seen the same after it, whichever messages were lost, and whatever was restarted meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from uuid import UUID

import psycopg

import sql
from sql.snapshot import Snapshot
from website.streams import store
from website.streams.hub import Hub, Replay
from website.streams.store import Missed, Moment
from website.streams.stream import Stream

log = logging.getLogger(__name__)

LOOK_S = 30.0  # in case that a message was lost
_RETRY_S = 0.5
_LOG_AGAIN_S = 60.0
_STATEMENT_S = 20
_A_PART = 50  # events of a replay that are sent at once
_AT_ONCE = 50  # streams that are served in a turn
_NAME = "mangahub-web streams"

_Key = tuple[bytes | None, Snapshot, Snapshot | None]


class Follower:
    """A task with two connections: one listens, one asks."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._woken = asyncio.Event()
        self._marked: set[int] = set()
        self._log_again_s = 0.0
        self.hub = Hub(self._woken.set)

    async def run(self) -> None:
        """Follow until it is cancelled."""
        while True:
            try:
                await self._follow()
            except (sql.SqlError, psycopg.Error) as exc:
                self._log_outage(exc)
            except Exception:
                log.exception("Unexpected error while following the database, trying again")
            await asyncio.sleep(_RETRY_S)

    def _log_outage(self, exc: Exception) -> None:
        if monotonic() >= self._log_again_s:
            log.warning("The database is unavailable, trying again reason=%s", sql.one_line(exc))
            self._log_again_s = monotonic() + _LOG_AGAIN_S

    async def _follow(self) -> None:
        url = self._database_url
        await asyncio.to_thread(_require_current, url)
        with sql.translated():
            async with (
                await sql.connect_async(url, _NAME) as listener,
                await sql.connect_async(url, _NAME) as asker,
            ):
                await asker.execute(f"SET statement_timeout = '{_STATEMENT_S}s'".encode())
                for channel in store.CHANNELS:
                    await listener.execute(f"LISTEN {channel}".encode())
                await self._catch_up(asker)
                await self._listen(listener, asker)

    async def _catch_up(self, asker: sql.AsyncConnection) -> None:
        """Take the first look; after an interruption also tell what was marked meanwhile."""
        before, readers = self.hub.moment, self.hub.readers
        await self._turn(asker)
        if before is not None and readers:
            async with store.snapshot_of(asker):
                marks = await store.marked_since(asker, readers, before.snapshot)
            self.hub.tell_marks(marks)
        self._log_again_s = 0.0
        log.info("Following the database")

    async def _listen(self, listener: sql.AsyncConnection, asker: sql.AsyncConnection) -> None:
        reading = asyncio.create_task(self._read(listener))
        try:
            while not reading.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._woken.wait()
                self._woken.clear()
                await self._turn(asker)
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _read(self, listener: sql.AsyncConnection) -> None:
        try:
            async for message in listener.notifies():
                if message.channel == store.MARKS_CHANNEL:
                    self._marked.update(_read_ids(message.payload))
                self._woken.set()
        finally:
            self._woken.set()

    # --- a turn --------------------------------------------------------------------------------

    async def _turn(self, asker: sql.AsyncConnection) -> None:
        self.hub.is_turning = True
        behind = self.hub.take_behind(_AT_ONCE)
        ids, self._marked = self._marked, set()
        try:
            async with store.snapshot_of(asker):
                await self._send_new(asker, ids)
                await self._send_missed(asker, behind)
        except BaseException:
            self._marked |= ids
            for stream in behind:
                self.hub.put_back(stream)
            raise
        finally:
            self.hub.settle()
        if self.hub.has_behind:
            self._woken.set()

    async def _send_new(self, asker: sql.AsyncConnection, ids: Iterable[int]) -> None:
        before, readers = self.hub.moment, self.hub.readers
        moment, missed = await store.look(asker, before)
        if len(missed) > store.MAX_REPLAY or _is_another(before, moment):
            self.hub.reset(moment)
            return
        events = await store.load(asker, missed, readers)
        marks = await store.marks_of(asker, readers, list(ids)) if ids and readers else {}
        self.hub.tell(events, moment)
        self.hub.tell_marks(marks)

    async def _send_missed(self, asker: sql.AsyncConnection, behind: list[Stream]) -> None:
        moment = self.hub.moment
        assert moment is not None
        groups: dict[_Key, list[Stream]] = {}
        for stream in behind:
            if not stream.is_open:
                continue
            assert stream.seen is not None  # else it would not be behind
            if stream.seen.xmax > moment.snapshot.xmax:
                self.hub.start_anew(stream)
            else:
                groups.setdefault((stream.reader, stream.seen, stream.since), []).append(stream)
        behind.clear()
        try:
            while groups:
                key = next(iter(groups))
                replay = await _read_missed(asker, *key)
                self.hub.replay(groups.pop(key), replay, moment)
        finally:
            behind += [stream for group in groups.values() for stream in group]


def _require_current(url: str) -> None:
    """Return if it is a database of this program's schema, which can work with it."""
    with sql.connect(url, _NAME) as connection:
        sql.require_current(connection)


def _is_another(before: Moment | None, moment: Moment) -> bool:
    """Return whether the database has lost what it had: it was restored, or has failed over."""
    return before is not None and moment.snapshot.xmax < before.snapshot.xmax


async def _read_missed(
    asker: sql.AsyncConnection, owner: bytes | None, seen: Snapshot, since: Snapshot | None
) -> Replay:
    reader = UUID(bytes=owner) if owner else None
    missed: list[Missed] = await store.missed_by(asker, reader, seen)
    gap = max(len(missed) - store.MAX_REPLAY, 0)
    end = gap + _A_PART
    while end < len(missed) and missed[end].xid == missed[end - 1].xid:  # one transaction
        end += 1
    part = missed[gap:end]
    events = await store.load(asker, part, [reader] if reader else [])
    has_more = end < len(missed)
    marks = None
    if reader and not has_more:
        marks = (await store.marked_since(asker, [reader], since or seen)).get(reader)
    return Replay(events, part[-1].xid if part else None, has_more, gap > 0, marks)


def _read_ids(payload: str) -> set[int]:
    """Return the ids of a message; anyone who may connect can send one, so it may be anything."""
    ids = payload.split(",")
    if all(id.isascii() and id.isdigit() and len(id) < 19 for id in ids):
        return set(map(int, ids))
    log.warning("Malformed message on the channel payload=%.80r", payload)
    return set()
