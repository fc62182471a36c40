"""What a client has not read: loaded page by page, and sent before what is new.

Belongs to the UDP thread.
"""

from __future__ import annotations

from collections import deque

from notify_server.udp.clients import Client, Clients, Replay
from notify_server.udp.database_requests import (
    DatabaseRequests,
    PageRequest,
    Refusal,
    Unread,
    UnreadRequest,
)
from notify_server.udp.stats import Stats
from notify_server.wire.datagram import DatagramTemplate

PAGE = 64


class Replays:
    """Keeps the replays of clients going; `Delivery` sends what they put into the queues."""

    def __init__(self, clients: Clients, requests: DatabaseRequests, stats: Stats) -> None:
        self._clients = clients
        self._requests = requests
        self._stats = stats

    def begin(self, client: Client, unread: Unread) -> None:
        """Replay these rows.

        What is on its way to this client, or was settled after the request, is left out; so is
        what arrived live meanwhile if the query saw it too.
        """
        replay = client.replay = client.replay or Replay()
        known = client.in_flight.keys() | {id for id, _ in client.queue or ()} | replay.settled
        replay.ids = deque(id for id in unread.ids if id not in known)
        replay.settled.clear()
        unseen = deque(item for item in replay.later if not unread.snapshot.sees(item[2]))
        self._clients.queued -= len(replay.later) - len(unseen)
        replay.later = unseen
        client.snapshot = unread.snapshot
        self._clients.mark_ready(client)

    def skip(self, client: Client) -> None:
        """Go on with what is new, since the database could not be asked."""
        if client.replay is not None:
            client.replay.ids = deque()
            self._clients.mark_ready(client)

    def refill(self, client: Client) -> None:
        """Ask for more where the client's queue runs low; end a replay that is complete."""
        replay = client.replay
        if replay is not None:
            if replay.ids is None or replay.is_loading or len(client.queue or ()) > PAGE // 2:
                return
            if replay.ids:
                replay.is_loading = True
                page = [replay.ids.popleft() for _ in range(min(PAGE, len(replay.ids)))]
                self._requests.load_page(PageRequest(client, page, self._on_page))
                return
            self._end(client, replay)
        if client.is_behind and not client.queue:
            client.is_behind = False
            client.replay = Replay()
            request = UnreadRequest(client, None, client.replay, False, self._on_unread)
            self._requests.ask_unread(request)

    def _end(self, client: Client, replay: Replay) -> None:
        """Queue what arrived during the replay."""
        client.replay = None
        if replay.later:
            client.own_queue().extend((id, template) for id, template, _ in replay.later)
            self._clients.mark_ready(client)

    def _on_page(
        self, request: PageRequest, rows: list[tuple[int, DatagramTemplate]] | None
    ) -> None:
        client, replay = request.client, request.client.replay
        if replay is None or replay.ids is None:
            return
        replay.is_loading = False
        if rows is None:  # the next refill asks again
            replay.ids.extendleft(reversed(request.ids))
            return
        client.own_queue().extend(rows)
        self._clients.queued += len(rows)
        self._stats.replayed += len(rows)
        self._clients.mark_ready(client)

    def _on_unread(self, request: UnreadRequest, answer: Unread | Refusal) -> None:
        """Replay what the client was not sent when its queue was full."""
        if request.client.is_gone:
            return
        if isinstance(answer, Unread):
            self.begin(request.client, answer)
        else:  # the next refill asks again
            self._clients.drop_replay(request.client)
            request.client.is_behind = True
