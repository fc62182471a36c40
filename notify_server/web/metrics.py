"""The metrics of /metrics, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from notify_server.udp.stats import Figures
from readers.channels.store import Counts

_COUNTERS = {
    "received": "Datagrams that arrived.",
    "malformed": "Datagrams that were not a message.",
    "sent": "Notifications sent, with those sent again.",
    "acknowledged": "Notifications acknowledged by a client.",
    "retransmitted": "Notifications sent again because no ACK came.",
    "replayed": "Notifications loaded from the database for a client that subscribed.",
    "send_errors": "Datagrams that the system would not send.",
    "clients_dropped": "Clients that acknowledged nothing for 15 seconds.",
    "clients_expired": "Clients that were silent for 300 seconds.",
    "refused": "Subscriptions refused: wrong proof, unknown user, too many clients.",
}


class Metrics(Collector):
    """Renders the metrics of UDP and of channels, and counts requests."""

    def __init__(
        self,
        figures: Callable[[], Figures | None],
        receive_drops: Callable[[], int],
        channels: Callable[[], Counts | None],
    ) -> None:
        """Take functions that return what is to be shown.

        Args:
            figures: what the UDP side has counted.
            receive_drops: how many datagrams the kernel has dropped.
            channels: counts of readers' channels of some seconds ago; None until they are known.
        """
        self._figures = figures
        self._receive_drops = receive_drops
        self._channels = channels
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._requests = Counter(
            "mangahub_notify_http_requests",
            "Requests answered.",
            ("route", "status"),
            registry=self._registry,
        )

    def count_request(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def render(self) -> tuple[bytes, str]:
        """Return the text and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, for the registry."""
        yield from self._of_channels()
        yield CounterMetricFamily(
            "mangahub_notify_receive_dropped",
            "Datagrams that the kernel dropped because the socket's buffer was full.",
            value=float(self._receive_drops()),
        )
        figures = self._figures()
        if figures is None:
            return
        for name, text in _COUNTERS.items():
            value = float(getattr(figures.stats, name))
            yield CounterMetricFamily(f"mangahub_notify_{name}", text, value=value)
        for name, text, count in (
            ("clients", "Clients subscribed now.", figures.clients),
            ("queue_depth", "Notifications that wait to be sent.", figures.waiting),
        ):
            yield GaugeMetricFamily(f"mangahub_notify_{name}", text, value=float(count))
        for name, text, found in (
            ("send_seconds", "From the POST to the datagram.", figures.stats.to_send),
            ("ack_seconds", "From the POST to the client's ACK.", figures.stats.to_ack),
        ):
            buckets, total = found.cumulative(), found.sum
            yield HistogramMetricFamily(f"mangahub_notify_{name}", text, buckets, total)

    def _of_channels(self) -> Iterator[Metric]:
        counts = self._channels()
        if counts is None:
            return
        text = "Readers' channels outside of this machine."
        family = GaugeMetricFamily("mangahub_notify_channels", text, labels=("state",))
        for state in ("working", "failing", "paused"):
            family.add_metric((state,), getattr(counts, state))
        yield family
        text = "Channels for which something has waited for ten minutes although they work."
        name = "mangahub_notify_channels_unsent"
        yield GaugeMetricFamily(name, text, value=float(counts.unsent))
