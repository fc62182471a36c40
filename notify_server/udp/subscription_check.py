"""Checks subscriptions against the database, and lists what their users have not read."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from uuid import UUID

from notify_server.store import replay
from notify_server.udp.database_requests import Refusal, Unread, UnreadRequest
from notify_server.wire import auth
from readers.keys import derive_key
from sql.connections import Database


@dataclass(frozen=True)
class SubscriptionCheck:
    """Answers requests for what is unread, many with two queries.

    Attributes:
        is_following: until it is set no client can subscribe, as events would be missed.
    """

    database: Database
    secret: str
    is_following: threading.Event

    def answer(self, requests: list[UnreadRequest]) -> list[Unread | Refusal]:
        """Return the answer to each request.

        Raises:
            SqlError: the database is unavailable.
        """
        if not self.is_following.is_set():
            return [Refusal.AWAY for _ in requests]
        with self.database.connection() as connection:
            generations = replay.key_generations(connection, [r.user for r in requests])
            users = [r.user if self._is_good(r, generations) else None for r in requests]
            accepted = list({user for user in users if user is not None})
            if not accepted:
                return [Refusal.REJECTED for _ in requests]
            ids, snapshot = replay.unread_ids(connection, accepted)
        return [
            Refusal.REJECTED
            if user is None
            else Unread(ids.get(user, []), snapshot, generations[user])
            for user in users
        ]

    def _is_good(self, request: UnreadRequest, generations: dict[bytes, int]) -> bool:
        """Return whether the user exists, and the proof, if one has to be checked, is right."""
        generation, message = generations.get(request.user), request.message
        if message is None or message.cookie is None:
            return generation is not None
        # Computed for unknown users too, so that the time does not reveal who is known.
        key = derive_key(self.secret, str(UUID(bytes=request.user)), generation or 0)
        is_right = auth.proof_is_valid(
            message.proof, key, message.user_text, message.ack, message.cookie
        )
        return is_right and generation is not None
