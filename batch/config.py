"""The batch's settings, read once from the environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
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
MAX_COUNT = 10_000  # the API refuses to page further: offset + limit <= 10,000


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of the batch, checked."""

    api_url: str
    api_key: str | None
    initial_enabled: bool
    initial_count: int
    initial_order: str
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
    "log_format": "LOG_FORMAT",
    "log_level": "LOG_LEVEL",
}
SECRETS = frozenset({"api_key", "notify_key"})


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


__all__ = ["CONTENT_RATINGS", "MAX_COUNT", "ORDER_KEYS", "Config", "SettingError", "load"]
