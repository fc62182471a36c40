"""The website's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mangahub.config import (
    DATA_DIR,
    INITIAL_COUNT,
    LOG_FORMAT,
    LOG_LEVEL,
    MANGADEX_API_URL,
    NOTIFY_API_KEY,
    NOTIFY_CHANNELS,
    NOTIFY_CHANNELS_PRIVATE,
    NOTIFY_SECRET,
    NOTIFY_URL,
    RATE_BURST,
    RATE_PER_SECOND,
)
from mangahub.env import Env, read_config, setting
from mangahub.parsers import boolean, http_url, integer
from mangahub.website_address import WEB_BIND, WEB_PORT, WEB_URL, url_of


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of the website, checked.

    Attributes:
        bind: the address of both sockets.
        port, stream_port: 0 lets the system choose.
        url: how readers reach the pages; None until the port is known: then that of `bind`.
        stream_url: where browsers find the streams; None: `stream_port` of the host of `url`.
        visitors: whether people without a session see anything but sign-in.
        proxies: how many proxies in front are believed.
        covers_mb: the size of the cache of covers; 0 shows placeholders only.
    """

    bind: str = WEB_BIND.field()
    port: int = WEB_PORT.field()
    stream_port: int = setting("WEB_STREAM_PORT", 8087, integer(0, 65535))
    url: str | None = WEB_URL.field()
    stream_url: str | None = setting("WEB_STREAM_URL", None, http_url)
    visitors: bool = setting("WEB_VISITORS", True, boolean)
    proxies: int = setting("WEB_PROXIES", 0, integer(0, 10))
    covers_mb: int = setting("WEB_COVERS_MB", 256, integer(0, 1_000_000))
    covers_url: str = setting("MANGADEX_COVERS_URL", "https://uploads.mangadex.org", http_url)
    api_url: str = MANGADEX_API_URL.field()
    initial_count: int = INITIAL_COUNT.field()
    notify_url: str = NOTIFY_URL.field()
    notify_key: str | None = NOTIFY_API_KEY.field()
    rate_per_second: float = RATE_PER_SECOND.field()
    rate_burst: int = RATE_BURST.field()
    secret: str | None = NOTIFY_SECRET.field()
    channel_kinds: tuple[str, ...] = NOTIFY_CHANNELS.field()
    private_channels: str = NOTIFY_CHANNELS_PRIVATE.field()
    data_dir: Path = DATA_DIR.field()
    log_format: str = LOG_FORMAT.field()
    log_level: str = LOG_LEVEL.field()


def load(env: Env) -> Config:
    """Return the settings; raise SettingError for the first bad value."""
    return read_config(Config, env)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where readers find the site; both without last slash."""

    pages: str
    streams: str

    @property
    def pages_origin(self) -> str:
        """What a browser sends as the origin of a page."""
        return _origin_of(self.pages)

    @property
    def streams_origin(self) -> str:
        return _origin_of(self.streams)

    @property
    def is_https(self) -> bool:
        return self.pages.startswith("https://")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def find_addresses(config: Config, pages: str, streams: str) -> Addresses:
    """Return the addresses as readers use them.

    Args:
        pages, streams: `host:port` of the two sockets.
    """
    url = config.url or url_of(pages)
    if config.stream_url:
        return Addresses(url, config.stream_url)
    parts = urlsplit(url)
    host = parts.hostname or ""
    place = f"[{host}]" if ":" in host else host
    return Addresses(url, f"{parts.scheme}://{place}:{streams.rpartition(':')[2]}")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What both processes are given.

    Attributes:
        streams_at: `host:port` of the streams' socket, for the pages' process.
    """

    config: Config
    addresses: Addresses
    database_url: str
    secret: str
    streams_at: str = ""
