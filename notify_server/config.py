"""The notification server's settings, read once from the environment."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from mangahub.env import Env, SettingError, data_dir
from mangahub.log import FORMATS, LEVELS

LEGACY_MODES = ("off", "loopback", "any")


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of the server, checked.

    Attributes:
        bind: the address of both sockets.
        udp_port, http_port: 0 lets the system choose.
        secret: None where it is generated into `data_dir`.
    """

    bind: str
    udp_port: int
    http_port: int
    api_key: str | None
    secret: str | None
    legacy: str
    data_dir: Path
    log_format: str
    log_level: str


def load(env: Env) -> Config:
    """Reads and checks every variable.

    Raises:
        SettingError: the first bad value, with what is allowed.
    """
    return Config(
        bind=_address(env.text("NOTIFY_BIND", "127.0.0.1")),
        udp_port=env.integer("UDP_PORT", 8082, 0, 65535),
        http_port=env.integer("UDP_HTTP_PORT", 8085, 0, 65535),
        api_key=env.secret("NOTIFY_API_KEY"),
        secret=_secret(env),
        legacy=env.choice("NOTIFY_LEGACY_CLIENTS", "off", LEGACY_MODES),
        data_dir=data_dir(env),
        log_format=env.choice("LOG_FORMAT", "text", FORMATS),
        log_level=env.choice("LOG_LEVEL", "INFO", LEVELS),
    )


def require_safe(config: Config) -> None:
    """Refuses to be reachable from elsewhere without a key.

    Raises:
        SettingError: it would be.
    """
    if config.api_key is None and not _is_loopback(config.bind):
        allowed = "a loopback address, unless NOTIFY_API_KEY is set as well"
        raise SettingError("NOTIFY_BIND", config.bind, allowed)


def _secret(env: Env) -> str | None:
    """One of blanks is refused: the generated one in its place would change all user keys."""
    if env.is_blank("NOTIFY_SECRET"):
        raise SettingError("NOTIFY_SECRET", "***", "more than blanks, or not set")
    return env.secret("NOTIFY_SECRET")


def _address(value: str) -> str:
    """A numeric address; a host name is looked up, its first address counts."""
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(value, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        allowed = "an IPv4 or IPv6 address of this host, or its name"
        raise SettingError("NOTIFY_BIND", value, allowed) from None
    return str(found[0][4][0])


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
