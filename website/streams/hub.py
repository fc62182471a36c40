"""All streams, and what each is sent.

Streams are live, or wait for what they missed. All live ones have been sent the same: what the
last look at the database saw. What they get carries the position after it, so that a reader who
was cut off anywhere continues there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from uuid import UUID

from readers.datagram import encode, session_suffix
from sql.snapshot import Snapshot
from website.streams import frames
from website.streams.store import Event, Marks, Moment
from website.streams.stream import Stream

HEARTBEAT_S = 15
MAX_AGE_S = 3_600.0  # then a page needs another ticket, so that nobody listens who may not any more
_END = session_suffix(None)
_RESET = b"{}"


@dataclass(frozen=True, slots=True)
class Replay:
    """A part of what some streams have missed.

    Attributes:
        events: in their order.
        up_to: the last transaction of this part; None if nothing was missed.
        has_more: whether more has to follow.
        has_gap: whether earlier events are left out.
        marks: with the last part, what the reader has marked meanwhile.
    """

    events: Sequence[Event]
    up_to: int | None
    has_more: bool
    has_gap: bool
    marks: Marks | None


class Hub:
    """The streams of this process.

    Attributes:
        moment: the last look; None before the first.
        is_turning: whether the next one is under way.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """Take what wakes the follower up."""
        self._wake = wake
        self._live: dict[bytes | None, set[Stream]] = {}  # by the reader's 16 bytes
        self._fresh: list[Stream] = []  # have no past, and wait for the end of a turn
        self._behind: deque[Stream] = deque()  # wait for what they missed
        self._slots: list[set[Stream]] = [set() for _ in range(HEARTBEAT_S)]
        self._slot = 0
        self.moment: Moment | None = None
        self.is_turning = False

    # --- coming and going ----------------------------------------------------------------------

    def add(self, stream: Stream) -> None:
        """Take a stream on; it waits until it can be live without missing anything."""
        self._slot = stream.slot = (self._slot + 1) % HEARTBEAT_S
        self._slots[stream.slot].add(stream)
        self._await(stream)

    def remove(self, stream: Stream) -> None:
        self._slots[stream.slot].discard(stream)
        streams = self._live.get(stream.reader, set())
        streams.discard(stream)
        if not streams:
            self._live.pop(stream.reader, None)

    def _await(self, stream: Stream) -> None:
        if stream.seen is not None:
            self._behind.append(stream)
            self._wake()
        elif self.moment is None or self.is_turning:
            self._fresh.append(stream)
        else:
            self._make_live(stream)

    def _make_live(self, stream: Stream) -> None:
        assert self.moment is not None
        stream.seen, stream.on_drained = None, None
        self._live.setdefault(stream.reader, set()).add(stream)
        stream.send(frames.mark(self.moment.snapshot))

    def take_behind(self, most: int) -> list[Stream]:
        """Return streams that wait for what they missed, those first that came first."""
        count = min(most, len(self._behind))
        return [self._behind.popleft() for _ in range(count)]

    def put_back(self, stream: Stream) -> None:
        self._behind.appendleft(stream)

    def settle(self) -> None:
        """End a turn: streams without a past that came meanwhile begin."""
        self.is_turning = False
        if self.moment is not None:
            for stream in self._fresh:
                if stream.is_open:
                    self._make_live(stream)
            self._fresh.clear()

    @property
    def has_behind(self) -> bool:
        return bool(self._behind)

    @property
    def readers(self) -> list[UUID]:
        """Those who have a live stream."""
        return [UUID(bytes=reader) for reader in self._live if reader is not None]

    def everybody(self) -> list[Stream]:
        return [stream for slot in self._slots for stream in slot]

    # --- sending -------------------------------------------------------------------------------

    def tell(self, events: Sequence[Event], moment: Moment) -> None:
        """Send the live streams what is new in a look, which becomes the last one."""
        before = self.moment.snapshot if self.moment else moment.snapshot
        for event, position in _with_positions(events, before, moment.snapshot):
            self._tell(event, position)
        self.moment = moment

    def _tell(self, event: Event, position: Snapshot | None) -> None:
        begin = frames.begin("news", position)
        visitors = self._live.get(None)
        if visitors and event.template is not None:
            _send(visitors, begin + event.template.fill(event.seq, _END) + frames.END)
        for template, recipients in event.shares:
            for id, reader in recipients:
                if streams := self._live.get(reader):
                    _send(streams, begin + template.fill(id, _END) + frames.END)

    def tell_marks(self, marks: dict[UUID, Marks]) -> None:
        for reader, marked in marks.items():
            for frame in _marks(marked):
                _send(self._live.get(reader.bytes, ()), frame)

    def reset(self, moment: Moment) -> None:
        """Tell everybody to read anew: too much is missing, or the database is another one."""
        self.moment = moment
        for streams in self._live.values():
            _send(streams, frames.event("reset", _RESET, moment.snapshot))

    def replay(self, streams: Iterable[Stream], replay: Replay, moment: Moment) -> None:
        """Send streams that have seen the same a part of what they missed."""
        for stream in streams:
            if stream.is_open:
                self._replay(stream, replay, moment)

    def _replay(self, stream: Stream, replay: Replay, moment: Moment) -> None:
        assert stream.seen is not None
        parts = [
            frames.event("news", text, position)
            for event, position in _with_positions(replay.events, stream.seen, moment.snapshot)
            if (text := _text(event))
        ]
        if replay.up_to is not None:
            stream.seen = stream.seen.advanced(moment.snapshot, replay.up_to)
        stream.must_reset |= replay.has_gap
        if not replay.has_more:
            parts += _marks(replay.marks) if replay.marks else []
            parts += [frames.event("reset", _RESET)] if stream.must_reset else []
        stream.send(b"".join(parts))
        if not replay.has_more:
            self._make_live(stream)
        elif stream.is_drained:
            self._await(stream)
        else:
            stream.on_drained = self._await

    def start_anew(self, stream: Stream) -> None:
        """Let a stream begin now that has seen what this database has not."""
        stream.send(frames.event("reset", _RESET))
        self._make_live(stream)

    @property
    def has_operators(self) -> bool:
        return any(stream.is_operator for stream in self.everybody())

    def tell_operators(self, kind: str, data: bytes) -> None:
        for stream in self.everybody():
            if stream.is_operator:
                stream.send(frames.event(kind, data))

    def beat(self, slot: int, now_s: float) -> None:
        """Send the streams of a slot a comment; end those that are stuck, or too old."""
        for stream in list(self._slots[slot]):
            if stream.was_behind and not stream.is_drained:
                stream.drop()
            elif now_s - stream.born_s > MAX_AGE_S:
                stream.finish(frames.TOO_OLD)
            else:
                stream.was_behind = not stream.is_drained
                stream.send(frames.COMMENT)


def _with_positions(
    events: Sequence[Event], seen: Snapshot, now: Snapshot
) -> Iterator[tuple[Event, Snapshot | None]]:
    """Yield each event with the position after it; None if more of its transaction follows."""
    for event, following in zip_longest(events, events[1:]):
        is_last = following is None or following.xid != event.xid
        yield event, seen.advanced(now, event.xid) if is_last else None


def _send(streams: Iterable[Stream], frame: bytes) -> None:
    for stream in streams:
        stream.send(frame)


def _text(event: Event) -> bytes | None:
    """Return the event for the one who asked: a reader, else a visitor."""
    for template, recipients in event.shares:
        for id, _ in recipients:
            return template.fill(id, _END)
    return event.template.fill(event.seq, _END) if event.template else None


def _marks(marks: Marks) -> list[bytes]:
    return [
        frames.event("read", encode({"ids": ids, "read": is_read, "unread": marks.left}))
        for ids, is_read in ((marks.read, True), (marks.unread, False))
        if ids
    ]
