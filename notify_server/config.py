"""The notification server's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mangahub.config import (
    DATA_DIR,
    LOG_FORMAT,
    LOG_LEVEL,
    NOTIFY_API_KEY,
    NOTIFY_CHANNELS,
    NOTIFY_CHANNELS_PRIVATE,
    NOTIFY_SECRET,
)
from mangahub.env import Env, SettingError, read_config, setting
from mangahub.parsers import choice, integer
from mangahub.sockets import host_address, is_loopback
from mangahub.website_address import WEB_URL
from readers.channels.addresses import Policy, is_private


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of the server, checked.

    Attributes:
        bind: the address of both sockets.
        udp_port, http_port: 0 lets the system choose.
        secret: None if it is generated into `data_dir`.
    """

    bind: str = setting("NOTIFY_BIND", "127.0.0.1", host_address)
    udp_port: int = setting("UDP_PORT", 8082, integer(0, 65535))
    http_port: int = setting("UDP_HTTP_PORT", 8085, integer(0, 65535))
    api_key: str | None = NOTIFY_API_KEY.field()
    secret: str | None = NOTIFY_SECRET.field()
    legacy: str = setting("NOTIFY_LEGACY_CLIENTS", "off", choice("off", "loopback", "any"))
    channel_kinds: tuple[str, ...] = NOTIFY_CHANNELS.field()
    private_channels: str = NOTIFY_CHANNELS_PRIVATE.field()
    website: str | None = WEB_URL.field()
    data_dir: Path = DATA_DIR.field()
    log_format: str = LOG_FORMAT.field()
    log_level: str = LOG_LEVEL.field()

    @property
    def channel_policy(self) -> Policy:
        """The addresses that readers may add as channels."""
        return Policy.of_settings(self.channel_kinds, self.private_channels)

    @property
    def public_website(self) -> str | None:
        """The website's address, if readers elsewhere can be sent to it."""
        host = urlsplit(self.website or "").hostname or "localhost"
        return None if host == "localhost" or is_private(host) else self.website


def load(env: Env) -> Config:
    """Return the settings; raise SettingError for the first bad value."""
    return read_config(Config, env)


def require_safe(config: Config) -> None:
    """Refuse to be reachable from elsewhere without a key.

    Raises:
        SettingError: the server would be.
    """
    if config.api_key is None and not is_loopback(config.bind):
        allowed = "a loopback address, unless NOTIFY_API_KEY is set as well"
        raise SettingError("NOTIFY_BIND", config.bind, allowed)
