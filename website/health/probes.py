"""What the notification server and the stream process say of themselves."""

from __future__ import annotations

import re

import requests

from website.config import Surroundings
from website.rules.health import Others

_TIMEOUT_S = 1.0
_MAX_BYTES = 1024 * 1024
_CLIENTS = re.compile(rb"^mangahub_notify_clients ([0-9.e+]+)$", re.MULTILINE)
_STREAMS = re.compile(rb'"streams": ([0-9]+)')


def ask_others(given: Surroundings) -> Others:
    """Ask both; neither is waited for longer than a second or two."""
    config = given.config
    clients, error = _ask_notify(config.notify_url, config.notify_key)
    streams = _ask_streams(given.streams_at) if given.streams_at else None
    return Others(clients, streams, error)


def _ask_notify(url: str, key: str | None) -> tuple[int | None, str | None]:
    """Return how many clients it has, and why it is of no use."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        ready, _ = _get(f"{url}/readyz", headers)
        status, text = _get(f"{url}/metrics", headers)
    except requests.RequestException:
        return None, f"does not answer at {url}"
    if ready in (401, 403):
        return None, "refuses our NOTIFY_API_KEY"
    found = _CLIENTS.search(text) if status == 200 else None
    clients = int(float(found[1])) if found else None
    return clients, None if ready == 200 else f"is not ready (status {ready})"


def _ask_streams(address: str) -> int | None:
    try:
        status, text = _get(f"http://{address}/healthz", {})
    except requests.RequestException:
        return None
    found = _STREAMS.search(text) if status == 200 else None
    return int(found[1]) if found else None


def _get(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    with requests.Session() as session:
        session.trust_env = False  # these are our own programs, behind no proxy
        with session.get(
            url, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
        ) as response:
            return response.status_code, next(response.iter_content(_MAX_BYTES), b"")
