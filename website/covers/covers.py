"""Covers as pages use them: the cache, and what fills it."""

from __future__ import annotations

from typing import NamedTuple

from sql.budget import Pace
from website.config import Config
from website.covers.cache import CoverCache
from website.covers.fetcher import CoverFetcher


class Covers(NamedTuple):
    """The cache and its fetcher."""

    cache: CoverCache
    fetcher: CoverFetcher


def open_covers(config: Config, database_url: str) -> Covers | None:
    """Return covers with a running fetcher; None where WEB_COVERS_MB is 0."""
    if config.covers_mb == 0:
        return None
    cache = CoverCache(config.data_dir / "covers", config.covers_mb * 1024 * 1024)
    pace = Pace(config.rate_per_second, config.rate_burst)
    fetcher = CoverFetcher(database_url, cache, config.covers_url, config.api_url, pace)
    fetcher.start()
    return Covers(cache, fetcher)
