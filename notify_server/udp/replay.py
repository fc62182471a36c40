"""Replay: a client's unread rows, loaded page by page and sent before what is new.

Belongs to the UDP thread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial

from notify_server.udp.clients import Client, Clients, Replay
from notify_server.udp.database_requests import (
    DatabaseRequests,
    PageRequest,
    Refusal,
    Unread,
    UnreadRequest,
)
from notify_server.udp.stats import Stats
from readers.datagram import DatagramTemplate

PAGE = 64


@dataclass(frozen=True)
class Replays:
    """Keeps the replays of clients going; `Delivery` sends what they put into the queues."""

    clients: Clients
    requests: DatabaseRequests
    stats: Stats

    def begin(self, client: Client, unread: Unread) -> None:
        """Replay these rows.

        Rows in flight to this client, or settled after the request, are left out; so are live
        notifications that the query saw too.
        """
        replay = client.replay = client.replay or Replay()
        known = client.in_flight.keys() | {id for id, _ in client.queue or ()} | replay.settled
        replay.ids = deque(id for id in unread.ids if id not in known)
        replay.settled.clear()
        unseen = deque(item for item in replay.later if not unread.snapshot.sees(item[2]))
        self.clients.queued -= len(replay.later) - len(unseen)
        replay.later = unseen
        client.snapshot = unread.snapshot
        self.clients.mark_ready(client)

    def skip(self, client: Client) -> None:
        """Continue with what is new, as the database is unavailable."""
        if client.replay is not None:
            client.replay.ids = deque()
            self.clients.mark_ready(client)

    def refill(self, client: Client) -> None:
        """Load more if the client's queue runs low; end a replay that is complete."""
        if client.replay is not None:
            self._advance(client, client.replay)
        if client.replay is None and client.is_behind and not client.queue:
            client.is_behind = False
            client.replay = Replay()
            reply = partial(self._catch_up, client)
            self.requests.ask_unread(UnreadRequest(client.user, None, reply))

    def _advance(self, client: Client, replay: Replay) -> None:
        if replay.ids is None or replay.is_loading or len(client.queue or ()) > PAGE // 2:
            return
        if replay.ids:
            replay.is_loading = True
            ids = [replay.ids.popleft() for _ in range(min(PAGE, len(replay.ids)))]
            reply = partial(self._take_page, client, replay, ids)
            self.requests.load_page(PageRequest(ids, reply))
            return
        client.replay = None
        if replay.later:
            client.own_queue().extend((id, template) for id, template, _ in replay.later)
            self.clients.mark_ready(client)

    def _take_page(
        self,
        client: Client,
        replay: Replay,
        ids: list[int],
        rows: list[tuple[int, DatagramTemplate]] | None,
    ) -> None:
        replay.is_loading = False
        if rows is None and replay.ids is not None:  # the next refill tries again
            replay.ids.extendleft(reversed(ids))
        elif rows is not None and not client.is_gone:
            client.own_queue().extend(rows)
            self.clients.queued += len(rows)
            self.stats.replayed += len(rows)
            self.clients.mark_ready(client)

    def _catch_up(self, client: Client, answer: Unread | Refusal) -> None:
        """Replay what the client was not sent when its queue was full."""
        if client.is_gone:
            return
        if isinstance(answer, Unread):
            self.begin(client, answer)
        else:  # the next refill tries again
            self.clients.drop_replay(client)
            client.is_behind = True
