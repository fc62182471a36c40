"""What /metrics shows, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from notify_server.udp.server import UdpServer
from notify_server.udp.stats import Histogram, Stats

_COUNTERS = {
    "received": "Datagrams that arrived.",
    "malformed": "Datagrams that were no message.",
    "sent": "Notifications sent, with those sent again.",
    "acknowledged": "Notifications acknowledged by a client.",
    "retransmitted": "Notifications sent again for want of an ACK.",
    "replayed": "Notifications loaded from the database for a client that subscribed.",
    "send_errors": "Datagrams that the system would not send.",
    "clients_dropped": "Clients that acknowledged nothing for 15 seconds.",
    "clients_expired": "Clients that were silent for 300 seconds.",
    "refused": "Subscriptions refused: wrong proof, unknown user, no room.",
}


class Metrics:
    """Renders the figures of the UDP side, and counts requests."""

    def __init__(self, udp: UdpServer, stats: Stats) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_UdpCollector(udp, stats))
        self._requests = Counter(
            "mangahub_notify_http_requests",
            "Requests answered.",
            ("route", "status"),
            registry=self._registry,
        )

    def count_request(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def render(self) -> tuple[bytes, str]:
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _UdpCollector(Collector):
    def __init__(self, udp: UdpServer, stats: Stats) -> None:
        self._udp = udp
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        for name, text in _COUNTERS.items():
            value = float(getattr(self._stats, name))
            yield CounterMetricFamily(f"mangahub_notify_{name}", text, value=value)
        yield CounterMetricFamily(
            "mangahub_notify_receive_dropped",
            "Datagrams that the kernel dropped because the socket's buffer was full.",
            value=float(self._udp.receive_drops()),
        )
        yield self._gauge("clients", "Clients subscribed now.", len(self._udp.clients))
        waiting = self._udp.delivery.pending + self._udp.delivery.queued
        yield self._gauge("queue_depth", "Notifications that wait to be sent.", waiting)
        yield _histogram("send_seconds", "From the POST to the datagram.", self._stats.to_send)
        yield _histogram("ack_seconds", "From the POST to the client's ACK.", self._stats.to_ack)

    def _gauge(self, name: str, text: str, value: int) -> Metric:
        return GaugeMetricFamily(f"mangahub_notify_{name}", text, value=float(value))


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(
        f"mangahub_notify_{name}", text, buckets=histogram.cumulative(), sum_value=histogram.sum
    )
