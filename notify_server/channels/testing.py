"""Sending test messages at once, whether or not a sender runs."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import wait

import sql
from notify_server.channels.failures import Receipt
from notify_server.channels.processes import Processes
from notify_server.store import channel_messages
from readers.channels import store
from readers.channels.addresses import Policy
from readers.channels.store import Channel

_LOOK_S = 0.5


def test(
    connection: sql.Connection, channels: Sequence[Channel], policy: Policy
) -> list[tuple[Channel, Receipt]]:
    """Send a test message to each channel, one after the other, and record how it went."""
    processes = Processes(1)
    try:
        return [(each, _test(connection, each, policy, processes)) for each in channels]
    finally:
        processes.end()


def _test(
    connection: sql.Connection, channel: Channel, policy: Policy, processes: Processes
) -> Receipt:
    found = channel_messages.load_tests(connection, policy, channel.id)
    if not found:
        return Receipt("the channel was removed")
    processes.start(found[0])
    while not (ended := processes.collect()):
        wait(processes.connections, _LOOK_S)
    ((_, receipt),) = ended
    store.note_test(connection, channel.id, receipt.error)
    return receipt
