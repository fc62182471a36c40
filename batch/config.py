"""The batch's settings."""

from __future__ import annotations

import logging
import re
import warnings
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from mangahub.config import (
    DATA_DIR,
    INITIAL_COUNT,
    LOG_FORMAT,
    LOG_LEVEL,
    MANGADEX_API_URL,
    MANGADEX_AUTH_URL,
    NOTIFY_API_KEY,
    NOTIFY_URL,
    RATE_BURST,
    RATE_PER_SECOND,
)
from mangahub.env import Env, NotAllowed, read_config, setting, settings_of
from mangahub.parsers import (
    absolute_path,
    boolean,
    choice,
    has_host,
    integer,
    listing,
    number,
    printable_ascii,
    uuids,
)

CONTENT_RATINGS = ("safe", "suggestive", "erotica", "pornographic")
ORDER_KEYS = (
    "followedCount",
    "createdAt",
    "updatedAt",
    "latestUploadedChapter",
    "rating",
    "relevance",
    "title",
    "year",
)
LOCAL = "local"
MAX_DAYS = 36_500


def _language(text: str) -> bool:
    """Return whether chapters of the API may have this language."""
    return bool(re.fullmatch(r"[a-z]{2}(-[a-z]{2})?", text))


def _hours(text: str) -> timedelta:
    """Return a duration; 0 means always due."""
    return timedelta(hours=number(0, 87_600)(text))


def _executor(text: str) -> str:
    if text == LOCAL:
        return LOCAL
    if not _is_scheduler(text):
        raise NotAllowed("local or dask://host:port")
    if find_spec("distributed") is None:
        raise NotAllowed("local, unless Dask is installed: pip install '.[dask]' in the checkout")
    return text


def _is_scheduler(text: str) -> bool:
    parts = urlsplit(text) if has_host(text) else None
    return parts is not None and parts.port is not None and text == f"dask://{parts.netloc}"


def _alert_urls(text: str) -> tuple[str, ...]:
    """Return addresses that stand apart by commas or blanks; a comma inside of one stays."""
    urls = tuple(filter(None, re.split(r"[\s,]+(?=[A-Za-z][\w+.-]*://)|[\s,]+$", text)))
    if not all(re.fullmatch(r"[A-Za-z][\w+.-]*://\S+", url) for url in urls):
        raise NotAllowed("addresses such as json://host/path, separated by commas")
    # Only their schemes: the rest holds secrets.
    if unknown := [url.partition("://")[0] for url in urls if not _has_service(url)]:
        known = "addresses as https://appriseit.com/services/ has them"
        raise NotAllowed(f"{known}, which {unknown[0]}://... is not")
    return urls


def _has_service(url: str) -> bool:
    """Return whether Apprise can send to the address; where it is missing, `doctor` says so."""
    if find_spec("apprise") is None:
        return True
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it would log the address
    with warnings.catch_warnings(action="ignore"):
        import apprise  # an extra

        return apprise.Apprise.instantiate(url) is not None


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of the batch, checked.

    Attributes:
        username, password, client_id, client_secret: the login of `import-account`.
        executor: LOCAL, or `dask://host:port` of a scheduler.
        metrics_dir: where metrics for Prometheus are written; None writes none.
        alert_urls: where alerts of a lasting failure are sent, in Apprise's format; they hold
            secrets, and an error shows no part of them.
        retention_days: None keeps everything.
    """

    api_url: str = MANGADEX_API_URL.field()
    api_key: str | None = setting("MANGADEX_API_KEY", None, printable_ascii, is_secret=True)
    auth_url: str = MANGADEX_AUTH_URL.field()
    username: str | None = setting("MANGADEX_USERNAME", None, str, is_secret=True)
    password: str | None = setting("MANGADEX_PASSWORD", None, str, is_secret=True)
    client_id: str | None = setting("MANGADEX_CLIENT_ID", None, str, is_secret=True)
    client_secret: str | None = setting("MANGADEX_CLIENT_SECRET", None, str, is_secret=True)
    initial_enabled: bool = setting("MANGA_SYNC_INITIAL", True, boolean)
    initial_count: int = INITIAL_COUNT.field()
    initial_order: str = setting("MANGA_SYNC_INITIAL_ORDER", "followedCount", choice(*ORDER_KEYS))
    executor: str = setting("MANGA_SYNC_EXECUTOR", LOCAL, _executor)
    workers: int = setting("MANGA_SYNC_WORKERS", 10, integer(1, 64))
    rate_concurrency: int = setting("MANGA_SYNC_RATE_CONCURRENCY", 5, integer(1, 64))
    rate_per_second: float = RATE_PER_SECOND.field()
    rate_burst: int = RATE_BURST.field()
    languages: tuple[str, ...] = setting(
        "MANGA_SYNC_LANGUAGES",
        ("en",),
        listing(_language, "language codes as the API's chapters have them (en, pt-br)"),
    )
    content_ratings: tuple[str, ...] = setting(
        "MANGA_SYNC_CONTENT_RATINGS",
        CONTENT_RATINGS[:3],
        listing(CONTENT_RATINGS.__contains__, f"out of {', '.join(CONTENT_RATINGS)}"),
    )
    refresh_after: timedelta = setting("MANGA_SYNC_REFRESH_HOURS", timedelta(hours=24), _hours)
    blocked_groups: frozenset[UUID] = setting("MANGA_SYNC_BLOCKED_GROUPS", frozenset(), uuids)
    blocked_uploaders: frozenset[UUID] = setting("MANGA_SYNC_BLOCKED_UPLOADERS", frozenset(), uuids)
    chapter_interval: timedelta = setting(
        "MANGA_SYNC_CHAPTER_INTERVAL_HOURS", timedelta(hours=48), _hours
    )
    chapter_batch: int = setting("MANGA_SYNC_CHAPTER_BATCH", 50, integer(1, 100_000))
    notify_url: str = NOTIFY_URL.field()
    notify_key: str | None = NOTIFY_API_KEY.field()
    data_dir: Path = DATA_DIR.field()
    metrics_dir: Path | None = setting("MANGAHUB_METRICS_DIR", None, absolute_path)
    alert_urls: tuple[str, ...] = setting("MANGAHUB_ALERT_URLS", (), _alert_urls, is_secret=True)
    alert_after: timedelta = setting("MANGAHUB_ALERT_AFTER_HOURS", timedelta(hours=6), _hours)
    retention_days: int | None = setting("MANGAHUB_RETENTION_DAYS", None, integer(1, MAX_DAYS))
    log_format: str = LOG_FORMAT.field()
    log_level: str = LOG_LEVEL.field()


def load(env: Env) -> Config:
    """Return the settings; raise SettingError for the first bad value."""
    return read_config(Config, env)


def shown(config: Config) -> dict[str, object]:
    """Return every setting by its variable, as it would be written there; secrets as `***`."""
    return {
        found.name: "***" if found.is_secret and getattr(config, name) else _plain(config, name)
        for name, found in settings_of(Config).items()
    }


def _plain(config: Config, name: str) -> object:
    value = getattr(config, name)
    if isinstance(value, tuple | frozenset):
        return ",".join(sorted(map(str, value)) if isinstance(value, frozenset) else value)
    if isinstance(value, timedelta):
        return value / timedelta(hours=1)
    return str(value) if isinstance(value, Path) else value
