"""Checks subscriptions against the database, and lists what their users have not read."""

from __future__ import annotations

import threading
from uuid import UUID

from notify_server.store import replay
from notify_server.store.connections import Database
from notify_server.udp.database_requests import Refusal, Unread, UnreadRequest
from notify_server.wire import auth


class SubscriptionCheck:
    """Answers requests for what is unread, many with two queries."""

    def __init__(self, database: Database, secret: str, is_following: threading.Event) -> None:
        """Until `is_following` is set nobody may subscribe: what is stored would not be pushed."""
        self._database = database
        self._secret = secret
        self._is_following = is_following

    def answer(self, requests: list[UnreadRequest]) -> list[Unread | Refusal]:
        """Return the answer to each request.

        Raises:
            SqlError: the database is away.
        """
        if not self._is_following.is_set():
            return [Refusal.AWAY] * len(requests)
        with self._database.connection() as connection:
            users = {request.client.user for request in requests}
            generations = replay.key_generations(connection, list(users))
            good = [self._is_good(request, generations) for request in requests]
            users = {r.client.user for r, is_good in zip(requests, good, strict=True) if is_good}
            if not users:
                return [Refusal.REJECTED] * len(requests)
            ids, snapshot = replay.unread_ids(connection, list(users))
        unread = {user: Unread(ids.get(user, []), snapshot, generations[user]) for user in users}
        return [
            unread[request.client.user] if is_good else Refusal.REJECTED
            for request, is_good in zip(requests, good, strict=True)
        ]

    def _is_good(self, request: UnreadRequest, generations: dict[bytes, int]) -> bool:
        """Return whether the user exists and the proof, where there is one to check, is right."""
        user, message = request.client.user, request.message
        if user not in generations:
            return False
        if message is None or message.cookie is None:
            return True
        key = auth.derive_key(self._secret, str(UUID(bytes=user)), generations[user])
        return auth.proof_is_valid(
            message.proof, key, message.user_text, message.ack, message.cookie
        )
