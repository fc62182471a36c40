"""The figures of /metrics: requests by route, and how long they took."""

from __future__ import annotations

from time import perf_counter

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """Counts requests in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "mangahub_web_request_seconds",
            "From a request to its answer.",
            ("route", "status"),
            registry=self._registry,
            buckets=_BUCKETS_S,
        )

    def watch(self, app: Flask) -> None:
        """Count the requests of an application."""
        app.before_request(_note_start)
        app.after_request(self._count)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def _count(self, response: Response) -> Response:
        # Routes are few; paths that a stranger makes up would be a series each.
        route = str(request.url_rule) if request.url_rule else "none"
        took_s = perf_counter() - g.started_s
        self._seconds.labels(route, str(response.status_code)).observe(took_s)
        return response


def _note_start() -> None:
    g.started_s = perf_counter()
