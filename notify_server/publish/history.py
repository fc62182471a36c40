"""Notices that the database has lost commits: by a failover to a standby without them, a restore.

Numbers of transactions and notifications are then given a second time. Clients would take new
notifications for known ones, so they subscribe again, and ids continue far above the lost ones.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import sql
from notify_server.publish.channels import Channel
from notify_server.publish.claims import Claims
from notify_server.store import receipts

log = logging.getLogger(__name__)


class History:
    """What this server knows to be committed. Any thread may call it.

    Attributes:
        last: the last look at the database; None if there is none since commits were lost.
    """

    def __init__(self, claims: Claims, channels: Sequence[Channel]) -> None:
        self._claims = claims
        self._channels = channels
        self._lock = threading.Lock()
        self.last: receipts.Look | None = None

    def examine(self, connection: sql.Connection) -> None:
        """Look whether all of it is there; to be called before a new connection is used.

        Raises:
            DatabaseUnwritable: it leads to a standby, or no gap can be left.
        """
        if not self._count_lost(connection):
            return
        with self._lock:
            if lost := self._count_lost(connection):
                self._begin_again(connection, lost)

    def _count_lost(self, connection: sql.Connection) -> int:
        return receipts.count_lost(connection, self.last, self._claims.pushed())

    def _begin_again(self, connection: sql.Connection, lost: int) -> None:
        last_id = receipts.leave_gap(connection, self.last)
        log.error(
            "The database has lost commits, by a failover or a restore: clients subscribe again,"
            " and ids continue above the lost ones events=%d last_id=%d",
            lost,
            last_id,
        )
        self.last = None
        self._claims.clear()
        for channel in self._channels:
            channel.end_sessions()
