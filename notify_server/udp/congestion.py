"""Whether the receivers keep up. No I/O, no clock."""

from __future__ import annotations

from notify_server.udp.clients import Client

_MAX_QUEUEING_S = 0.15
_QUIET_S = 0.1


class Congestion:
    """Whether the receivers as a whole fall behind: then faster sending only causes repeats.

    Measured by how much longer each ACK takes than that client's fastest. A silent client has no
    weight, but a slow one with much to acknowledge can dominate: this may slow down what is sent to
    the others, and must never stop it. Without ACKs nothing waits.
    """

    def __init__(self) -> None:
        self._queueing_s = 0.0
        self._last_ack = 0.0

    def on_ack(self, client: Client, took_s: float, now: float) -> None:
        if self._queueing_s > _MAX_QUEUEING_S and not self.is_high(now):
            self._queueing_s = 0.0
        if took_s < client.fastest_ack_s:
            client.fastest_ack_s = took_s
        self._queueing_s += (took_s - client.fastest_ack_s - self._queueing_s) / 64
        self._last_ack = now

    def is_high(self, now: float) -> bool:
        return self._queueing_s > _MAX_QUEUEING_S and now - self._last_ack <= _QUIET_S
