"""The stream process: who may have a stream, its heartbeat, and its end."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from itertools import takewhile
from uuid import UUID

import psycopg

import sql
from readers.datagram import encode
from sql.connections import Database
from website.config import Surroundings
from website.health.watch import look
from website.rules.health import find_problems, problems_json
from website.security.tickets import Ticket, read_ticket
from website.store import private_addresses
from website.streams import frames, limits
from website.streams.follower import Follower
from website.streams.hub import HEARTBEAT_S
from website.streams.requests import Refused, Request
from website.streams.stream import Stream

log = logging.getLogger(__name__)

_LOOK_UPS = 2  # of private addresses at a time
# Connections that have not sent their request: after a restart all streams come at once.
MOST_PENDING = limits.MOST_IN_ALL
HEAD_S = 10.0  # for a request
STOP_S = 3.0
HEALTH_S = 15.0  # between two looks, while an operator is there
_UNACKNOWLEDGED_MS = 45_000  # then the other end is gone
# How many connections may wait; asyncio would accept as many at once, and need memory for each.
_BACKLOG, _ACCEPTED_AT_ONCE = 1024, 64
_SEND_BUFFER_BYTES = 64 * 1024  # of the system, for each stream
_FILES = limits.MOST_IN_ALL + MOST_PENDING + 200
_SECRET = re.compile(r"/feeds/([A-Za-z0-9]{16,128})/events")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What the process is given.

    Attributes:
        secret: what tickets are made with.
        origin: of the pages, such as `https://hub.example`; no others may read the streams.
        proxies: how many proxies in front are believed.
        look_at_health: returns what operators are told, as JSON; it takes a while.
        find_reader: returns whose private address it is; None if it is nobody's.
    """

    secret: str
    origin: str
    proxies: int
    database_url: str
    look_at_health: Callable[[], bytes]
    find_reader: Callable[[str], UUID | None]


class StreamServer:
    """Answers requests, and holds the streams."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._counts = limits.Counts()
        self._pending: dict[Stream, None] = {}  # in the order in which they came
        self._lookups: set[asyncio.Task[None]] = set()
        self._operator_came = asyncio.Event()
        self._follower = Follower(settings.database_url)
        self._hub = self._follower.hub

    async def run(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Serve until the stop; then end every stream with a last comment."""
        loop = asyncio.get_running_loop()
        # Connections inherit both.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        server = await loop.create_server(
            lambda: Stream(self), sock=sock, backlog=_ACCEPTED_AT_ONCE
        )
        sock.listen(_BACKLOG)
        works = (self._follower.run(), self._beat(), self._watch_health())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await stop.wait()
        finally:
            server.close()
            await self._end(tasks)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in [*tasks, *self._lookups]:
            task.cancel()
        for stream in [*self._hub.everybody(), *self._pending]:
            stream.finish(frames.LAST_COMMENT if stream.holders else b"")
        deadline_s = time.monotonic() + STOP_S
        while self._hub.everybody() and time.monotonic() < deadline_s:
            await asyncio.sleep(0.02)
        for task in tasks:
            with suppress(asyncio.CancelledError, sql.SqlError):
                await task

    async def _beat(self) -> None:
        """Send each stream a comment every HEARTBEAT_S, a part of them every second."""
        slot = 0
        while True:
            await asyncio.sleep(1.0)
            slot = (slot + 1) % HEARTBEAT_S
            self.beat(slot)
            self._refuse_late()

    def _refuse_late(self) -> None:
        """Refuse connections that have not sent their request in time."""
        overdue_s = asyncio.get_running_loop().time() - HEAD_S
        for stream in list(takewhile(lambda each: each.born_s < overdue_s, self._pending)):
            self._pending.pop(stream)
            stream.refuse(HTTPStatus.REQUEST_TIMEOUT)

    async def _watch_health(self) -> None:
        """Tell operators how all is when they come, and whenever that has changed."""
        told = b""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEALTH_S):
                    await self._operator_came.wait()
            is_due = self._operator_came.is_set()
            self._operator_came.clear()
            if not self._hub.has_operators:
                continue
            try:
                health = await asyncio.to_thread(self._settings.look_at_health)
            except Exception as exc:  # whatever it is, the next look may succeed
                log.warning("Health cannot be looked at reason=%s", sql.one_line(exc))
                continue
            if is_due or health != told:
                self._hub.tell_operators("health", health)
            told = health

    def beat(self, slot: int) -> None:
        """Send the streams of one part their comment."""
        self._hub.beat(slot, asyncio.get_running_loop().time())

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._counts.total

    # --- called by streams ---------------------------------------------------------------------

    def begin(self, stream: Stream) -> None:
        self._pending[stream] = None
        if len(self._pending) > MOST_PENDING:
            next(iter(self._pending)).drop()

    def forget(self, stream: Stream) -> None:
        self._pending.pop(stream, None)
        if stream.holders:
            self._counts.give_back(*stream.holders)
            self._hub.remove(stream)
            stream.holders = ()

    def answer(self, stream: Stream, request: Request) -> None:
        self._pending.pop(stream, None)
        if request.path == "/healthz":
            body = json.dumps({"status": "ok", "streams": self.count}) + "\n"
            stream.finish(frames.answer(HTTPStatus.OK, body, "application/json"))
        elif request.path == "/events":
            text = request.query.get("ticket", "")
            ticket = read_ticket(self._settings.secret, text, time.time())
            self._open(stream, request, ticket, self._settings.origin)
        elif found := _SECRET.fullmatch(request.path):
            task = asyncio.create_task(self._look_up(stream, request, found[1]))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
        else:
            raise Refused(HTTPStatus.NOT_FOUND)

    async def _look_up(self, stream: Stream, request: Request, secret: str) -> None:
        """Open the stream of a private address, which no other site's pages may read."""
        try:
            reader = await asyncio.to_thread(self._settings.find_reader, secret)
            self._open(stream, request, Ticket(reader) if reader else None, None)
        except Refused as exc:
            stream.refuse(exc.status)
        except (sql.SqlError, psycopg.Error) as exc:
            log.warning("The database is unavailable reason=%s", sql.one_line(exc))
            stream.refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def _open(
        self, stream: Stream, request: Request, ticket: Ticket | None, origin: str | None
    ) -> None:
        if ticket is None:
            raise Refused(HTTPStatus.NOT_FOUND)
        if not stream.is_open:
            return
        forwarded = request.headers.get("x-forwarded-for", "")
        client = sys.intern(limits.client_of(stream.peer, forwarded, self._settings.proxies))
        holders: list[tuple[Hashable, int]] = [(client, limits.MOST_OF_AN_ADDRESS)]
        holders += [(ticket.reader.bytes, limits.MOST_OF_A_READER)] if ticket.reader else []
        if not self._counts.take(*holders):
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS)
        stream.holders = tuple(who for who, _ in holders)
        stream.reader = ticket.reader.bytes if ticket.reader else None
        stream.is_operator = ticket.is_operator
        position = request.headers.get("last-event-id") or request.query.get("last_event_id")
        stream.seen = stream.since = frames.read_position(position) if position else None
        is_ours = request.headers.get("origin") == origin
        stream.send(frames.opening(origin if is_ours else None))
        self._hub.add(stream)
        if ticket.is_operator:
            self._operator_came.set()


def run(sock: socket.socket, given: Surroundings) -> None:
    """Serve until TERM; a second one ends the process at once."""
    _allow_files()
    database = Database(given.database_url, _LOOK_UPS, application_name="mangahub-web")
    settings = StreamSettings(
        secret=given.secret,
        origin=given.addresses.pages_origin,
        proxies=given.config.proxies,
        database_url=given.database_url,
        look_at_health=lambda: _look_at_health(given),
        find_reader=partial(_find_reader, database, given.secret),
    )
    asyncio.run(_serve(sock, settings))


def _look_at_health(given: Surroundings) -> bytes:
    with sql.connect(given.database_url, "mangahub-web health") as connection, sql.translated():
        problems = find_problems(look(connection, given, datetime.now(UTC)))
    return encode({"ok": not problems, "problems": problems_json(problems)})


def _find_reader(database: Database, secret: str, text: str) -> UUID | None:
    """Return whose private address of live events it is, None if it is nobody's."""
    with database.connection() as connection:
        found = private_addresses.find_reader(connection, secret, "events", text)
    return found.id if found else None


async def _serve(sock: socket.socket, settings: StreamSettings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def handle(number: int) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, handle, signal.SIGTERM)
    await StreamServer(settings).run(sock, stop)


def _allow_files() -> None:
    """Allow as many open files as there may be connections, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if soft != resource.RLIM_INFINITY and max(soft, wanted) < _FILES:
        log.warning("The system allows fewer streams than there may be files=%d", max(soft, wanted))
