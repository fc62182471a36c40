"""The batch's settings, read once from the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from mangahub.env import Env, SettingError, data_dir
from mangahub.log import FORMATS, LEVELS

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
MAX_COUNT = 10_000  # the API refuses to page further: offset + limit <= 10,000
MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of the batch, checked.

    Attributes:
        executor: LOCAL, or `dask://host:port` of a scheduler.
        metrics_dir: where figures for Prometheus are written; None writes none.
        alert_urls: whom to tell of long trouble, as Apprise writes addresses; they hold secrets.
        retention_days: None keeps everything.
    """

    api_url: str
    api_key: str | None
    initial_enabled: bool
    initial_count: int
    initial_order: str
    executor: str
    workers: int
    rate_concurrency: int
    rate_per_second: float
    rate_burst: int
    languages: tuple[str, ...]
    content_ratings: tuple[str, ...]
    refresh_after: timedelta
    blocked_groups: frozenset[UUID]
    blocked_uploaders: frozenset[UUID]
    chapter_interval: timedelta
    chapter_batch: int
    notify_url: str
    notify_key: str | None
    data_dir: Path
    metrics_dir: Path | None
    alert_urls: tuple[str, ...]
    alert_after: timedelta
    retention_days: int | None
    log_format: str
    log_level: str


def load(env: Env) -> Config:
    """Reads and checks every variable.

    Raises:
        SettingError: the first bad value, with what is allowed.
    """
    return Config(
        api_url=env.http_url("MANGADEX_API_URL", "https://api.mangadex.org"),
        api_key=env.secret("MANGADEX_API_KEY"),
        initial_enabled=env.boolean("MANGA_SYNC_INITIAL", True),
        initial_count=env.integer("MANGA_SYNC_INITIAL_COUNT", 150, 1, MAX_COUNT),
        initial_order=env.choice("MANGA_SYNC_INITIAL_ORDER", "followedCount", ORDER_KEYS),
        executor=_executor(env, "MANGA_SYNC_EXECUTOR"),
        workers=env.integer("MANGA_SYNC_WORKERS", 10, 1, 64),
        rate_concurrency=env.integer("MANGA_SYNC_RATE_CONCURRENCY", 5, 1, 64),
        rate_per_second=env.number("MANGA_SYNC_RATE_PER_SECOND", 5, 0.01, 1000),
        rate_burst=env.integer("MANGA_SYNC_RATE_BURST", 1, 1, 100),
        languages=env.languages("MANGA_SYNC_LANGUAGES", ("en",)),
        content_ratings=_content_ratings(env),
        refresh_after=_hours(env, "MANGA_SYNC_REFRESH_HOURS", 24),
        blocked_groups=env.uuids("MANGA_SYNC_BLOCKED_GROUPS"),
        blocked_uploaders=env.uuids("MANGA_SYNC_BLOCKED_UPLOADERS"),
        chapter_interval=_hours(env, "MANGA_SYNC_CHAPTER_INTERVAL_HOURS", 48),
        chapter_batch=env.integer("MANGA_SYNC_CHAPTER_BATCH", 50, 1, 100_000),
        notify_url=env.http_url("UDP_SERVER_URL", "http://127.0.0.1:8085"),
        notify_key=env.secret("NOTIFY_API_KEY"),
        data_dir=data_dir(env),
        metrics_dir=_directory(env, "MANGAHUB_METRICS_DIR"),
        alert_urls=_alert_urls(env, "MANGAHUB_ALERT_URLS"),
        alert_after=_hours(env, "MANGAHUB_ALERT_AFTER_HOURS", 6),
        retention_days=env.integer("MANGAHUB_RETENTION_DAYS", 0, 1, MAX_DAYS) or None,
        log_format=env.choice("LOG_FORMAT", "text", FORMATS),
        log_level=env.choice("LOG_LEVEL", "INFO", LEVELS),
    )


# Field → the variable it comes from, for people who are to see the settings.
VARIABLES = {
    "api_url": "MANGADEX_API_URL",
    "api_key": "MANGADEX_API_KEY",
    "initial_enabled": "MANGA_SYNC_INITIAL",
    "initial_count": "MANGA_SYNC_INITIAL_COUNT",
    "initial_order": "MANGA_SYNC_INITIAL_ORDER",
    "executor": "MANGA_SYNC_EXECUTOR",
    "workers": "MANGA_SYNC_WORKERS",
    "rate_concurrency": "MANGA_SYNC_RATE_CONCURRENCY",
    "rate_per_second": "MANGA_SYNC_RATE_PER_SECOND",
    "rate_burst": "MANGA_SYNC_RATE_BURST",
    "languages": "MANGA_SYNC_LANGUAGES",
    "content_ratings": "MANGA_SYNC_CONTENT_RATINGS",
    "refresh_after": "MANGA_SYNC_REFRESH_HOURS",
    "blocked_groups": "MANGA_SYNC_BLOCKED_GROUPS",
    "blocked_uploaders": "MANGA_SYNC_BLOCKED_UPLOADERS",
    "chapter_interval": "MANGA_SYNC_CHAPTER_INTERVAL_HOURS",
    "chapter_batch": "MANGA_SYNC_CHAPTER_BATCH",
    "notify_url": "UDP_SERVER_URL",
    "notify_key": "NOTIFY_API_KEY",
    "data_dir": "MANGAHUB_DATA",
    "metrics_dir": "MANGAHUB_METRICS_DIR",
    "alert_urls": "MANGAHUB_ALERT_URLS",
    "alert_after": "MANGAHUB_ALERT_AFTER_HOURS",
    "retention_days": "MANGAHUB_RETENTION_DAYS",
    "log_format": "LOG_FORMAT",
    "log_level": "LOG_LEVEL",
}
SECRETS = frozenset({"api_key", "notify_key", "alert_urls"})


def shown(config: Config) -> dict[str, object]:
    """Every setting by its variable, as it would be written there; secrets as `***`."""
    return {
        variable: "***" if name in SECRETS and getattr(config, name) else _plain(config, name)
        for name, variable in VARIABLES.items()
    }


def _plain(config: Config, name: str) -> object:
    value = getattr(config, name)
    if isinstance(value, tuple | frozenset):
        return ",".join(sorted(map(str, value)) if isinstance(value, frozenset) else value)
    if isinstance(value, timedelta):
        return value / timedelta(hours=1)
    return str(value) if isinstance(value, Path) else value


def _content_ratings(env: Env) -> tuple[str, ...]:
    default = CONTENT_RATINGS[:3]
    allowed = f"out of {', '.join(CONTENT_RATINGS)}"
    return env.listing(
        "MANGA_SYNC_CONTENT_RATINGS", default, lambda s: s in CONTENT_RATINGS, allowed
    )


def _hours(env: Env, name: str, default: float) -> timedelta:
    """A duration in hours; 0 means always due."""
    return timedelta(hours=env.number(name, default, 0, 87_600))


def _directory(env: Env, name: str) -> Path | None:
    value = env.raw(name)
    if value is None:
        return None
    if not Path(value).is_absolute():
        raise SettingError(name, value, "an absolute path")
    return Path(value)


def _executor(env: Env, name: str) -> str:
    value = env.text(name, LOCAL)
    if value == LOCAL:
        return LOCAL
    if not _is_scheduler(value):
        raise SettingError(name, value, "local or dask://host:port")
    if find_spec("distributed") is None:
        missing = "local as long as Dask is missing: pip install '.[dask]' in the checkout"
        raise SettingError(name, value, missing)
    return value


def _is_scheduler(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and bool(parts.port)
    except ValueError:
        return False
    return is_whole and text == f"dask://{parts.netloc}" and "@" not in text and text.isprintable()


def _alert_urls(env: Env, name: str) -> tuple[str, ...]:
    """Addresses apart by commas or blanks; a comma inside of one stays."""
    text = env.raw(name) or ""
    urls = tuple(filter(None, re.split(r"[\s,]+(?=[A-Za-z][\w+.-]*://)|[\s,]+$", text)))
    if all(re.fullmatch(r"[A-Za-z][\w+.-]*://\S+", url) for url in urls):
        return urls
    # Not even a part is shown: any may be a password.
    raise SettingError(name, "***", "addresses such as json://host/path, separated by commas")


__all__ = [
    "CONTENT_RATINGS",
    "LOCAL",
    "MAX_COUNT",
    "MAX_DAYS",
    "ORDER_KEYS",
    "Config",
    "SettingError",
    "load",
]
