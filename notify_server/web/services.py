"""The services that routes use, kept in the application."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask, current_app

from notify_server.publish.publisher import Publisher
from notify_server.web.metrics import Metrics
from sql.connections import Database

_EXTENSION = "notify_server"


class Services(NamedTuple):
    """The services that routes use.

    Attributes:
        api_key: None where requests need none.
        is_udp_usable: return whether datagrams are being sent and read.
    """

    database: Database
    publisher: Publisher
    metrics: Metrics
    api_key: str | None
    is_udp_usable: Callable[[], bool]


def keep(app: Flask, parts: Services) -> None:
    app.extensions[_EXTENSION] = parts


def services() -> Services:
    """Return the services of the running application."""
    found: Services = current_app.extensions[_EXTENSION]
    return found
