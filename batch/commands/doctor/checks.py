"""Checks of `doctor` outside the database: the source, the notification server, this host.

Each check names one thing, says what it found, and what to do about it. `warn` is something to
know; `bad` keeps a run from doing its work.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import requests

from batch.config import Config
from batch.errors import BatchError, PauseRequested, Stopped
from batch.mangadex.http import Session
from batch.mangadex.responses import Response
from batch.reporting import alert_sender
from batch.stop import SignalStop
from batch.workers.local import new_gate
from batch.workers.worker import open_permits
from mangahub.retry_after import http_date
from mangahub.sockets import is_loopback
from sql import Connection, SqlError
from sql.state.source import Health

MAX_CLOCK_ERROR_S = 60
MIN_FREE_BYTES = 200 * 1024 * 1024
PUBLIC_RATE = 5  # calls in any second; more are answered with 429, and finally with a ban
_NOTIFY_TIMEOUT_S = 2.0

Severity = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked; `cure` says what to do unless it is well."""

    name: str
    severity: Severity
    fact: str
    cure: str = ""

    @property
    def is_well(self) -> bool:
        return self.severity == "ok"


def check_source(
    config: Config, health: Health, connection: Connection | None, stop: SignalStop
) -> Iterator[Check]:
    """Send one request, but none during a ban; also compare the clocks.

    Args:
        connection: to the database with the budget of requests; without it no program sends
            requests, so this one needs no permit.

    Raises:
        Stopped: a signal came.
    """
    if health.until is not None and datetime.now(UTC) < health.until:
        fact = f"{config.api_url} has banned this address: {health.reason}"
        cure = f"wait until {health.until:%Y-%m-%d %H:%M} UTC: a request would prolong it"
        yield Check("source", "bad", fact, cure)
    else:
        yield from _ask_source(config, connection, stop)


def _ask_source(config: Config, connection: Connection | None, stop: SignalStop) -> Iterator[Check]:
    try:
        answer = _ask(config, connection, stop)
    except Stopped:
        raise
    except PauseRequested as exc:
        cure = "wait; if it happens again, look for other programs that use this address"
        yield Check("source", "bad", f"{config.api_url}: {exc}", cure)
        return
    except SqlError as exc:  # the request's permit could not be written
        cure = "see to the database first; nothing was asked"
        yield Check("source", "bad", str(exc), cure)
        return
    except BatchError as exc:
        cure = "check the network, MANGADEX_API_URL and proxies"
        yield Check("source", "bad", f"{config.api_url}: {exc}", cure)
        return
    fact = f"{config.api_url} answers with {answer.status}"
    if answer.status == 200:
        yield Check("source", "ok", fact)
    else:
        cure = "check MANGADEX_API_URL; 403 without JSON is a ban: wait"
        yield Check("source", "bad", fact, cure)
    yield from _clock(answer.headers.get("Date", ""))


def _ask(config: Config, connection: Connection | None, stop: SignalStop) -> Response:
    """Send a request that waits for its permit like every other."""
    if connection is None:
        with closing(Session(config.api_url, config.api_key, _Unpaced())) as session:
            return session.get("/manga", [("limit", "1")])
    permits = open_permits(config, new_gate(config), "doctor", stop, lambda: connection)
    permits.allow_probe()
    with closing(Session(config.api_url, config.api_key, permits)) as session, permits.turn():
        return session.get("/manga", [("limit", "1")])


class _Unpaced:
    """No pacing, for the single request without a database."""

    def departure(self) -> AbstractContextManager[None]:
        return nullcontext()


def _clock(date: str) -> Iterator[Check]:
    moment = http_date(date)
    if moment is None:
        return
    difference_s = abs((datetime.now(UTC) - moment).total_seconds())
    fact = f"{difference_s:.0f} s from the source's"
    if difference_s <= MAX_CLOCK_ERROR_S:
        yield Check("clock", "ok", fact)
    else:
        yield Check("clock", "bad", fact, "run a time service (NTP)")


def check_rate(config: Config) -> Check:
    """Return whether the budget keeps to the source's limit: a burst comes on top of the rate."""
    most = config.rate_per_second + config.rate_burst - 1
    fact = f"up to {most:g} calls in one second"
    if most <= PUBLIC_RATE or is_loopback(urlsplit(config.api_url).hostname or ""):
        return Check("rate", "ok", fact)
    cure = (
        f"MangaDex bans addresses that exceed {PUBLIC_RATE}: unset MANGA_SYNC_RATE_PER_SECOND and"
        " MANGA_SYNC_RATE_BURST"
    )
    return Check("rate", "warn", fact, cure)


def check_notify(config: Config) -> Check:
    """Return whether the notification server answers, accepts our key and can work."""
    name, url = "notification server", config.notify_url
    start = "start it (mangahub-notify), or correct UDP_SERVER_URL; events wait until then"
    try:
        alive = _get(f"{url}/healthz", None)
        ready = _get(f"{url}/readyz", config.notify_key)
    except requests.RequestException:
        return Check(name, "warn", f"{url} does not answer", start)
    if alive != 200:
        return Check(name, "warn", f"{url}/healthz answers with {alive}", start)
    if ready in (401, 403):
        cure = "give both programs the same NOTIFY_API_KEY"
        return Check(name, "bad", f"{url} refuses our key", cure)
    if ready != 200:
        cure = "look at its log: its database or its socket is not usable"
        return Check(name, "warn", f"{url}/readyz answers with {ready}", cure)
    return Check(name, "ok", f"{url} is ready")


def _get(url: str, key: str | None) -> int:
    with requests.Session() as session:
        session.trust_env = False  # as the relay does
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with session.get(
            url, headers=headers, timeout=_NOTIFY_TIMEOUT_S, allow_redirects=False, stream=True
        ) as response:
            return response.status_code


def check_directory(name: str, path: Path, cure: str) -> Check:
    """Return whether a directory is writable and its disk has free space."""
    try:
        path.stat()
        free = shutil.disk_usage(path).free
    except FileNotFoundError:
        return Check(name, "ok", f"{path} does not exist yet; it is created when needed")
    except OSError as exc:
        return Check(name, "bad", f"{path}: {exc.strerror}", cure)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        return Check(name, "bad", f"{path} cannot be written to", cure)
    fact = f"{path} has {free >> 20:,} MiB free"
    if free < MIN_FREE_BYTES:
        return Check(name, "bad", fact, "free some space on this disk")
    return Check(name, "ok", fact)


def check_secret(path: Path) -> Iterator[Check]:
    """Yield an error if others can read the notification server's secret."""
    try:
        mode = path.stat().st_mode
    except OSError:  # missing, or not readable for this user
        return
    if mode & 0o077:
        fact = f"other users can read {path}, and derive every user's key from it"
        yield Check("secret", "bad", fact, f"run: chmod 600 {path}; then rotate the keys")


def check_extras(config: Config) -> Iterator[Check]:
    """Check what is off by default: metrics and alerts."""
    folder = config.metrics_dir
    if folder is not None:
        is_well = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
        cure = "create it, writable for the user that runs the batch, or unset it"
        fact = f"MANGAHUB_METRICS_DIR={folder}"
        if is_well:
            yield Check("metrics", "ok", fact)
        else:
            yield Check("metrics", "warn", f"{fact} cannot be written to", cure)
    if config.alert_urls:
        yield _check_alerts(config.alert_urls)


def _check_alerts(urls: Sequence[str]) -> Check:
    fact = f"{len(urls)} addresses in MANGAHUB_ALERT_URLS"
    if not alert_sender.is_installed():
        cure = f"in the checkout: {alert_sender.INSTALL}"
        return Check("alerts", "warn", f"{fact}, and Apprise is missing", cure)
    return Check("alerts", "ok", fact)
