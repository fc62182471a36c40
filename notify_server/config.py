"""The notification server's settings."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from mangahub.config import DATA_DIR, LOG_FORMAT, LOG_LEVEL, NOTIFY_API_KEY
from mangahub.env import Env, NotAllowed, SettingError, read_config, setting
from mangahub.parsers import choice, integer, printable_ascii
from mangahub.sockets import is_loopback

_BROADCAST = ipaddress.ip_address("255.255.255.255")


def _address(text: str) -> str:
    """Return a numeric address that a host can have; of a host name the first one."""
    try:
        plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        found = socket.getaddrinfo(plain, None, type=socket.SOCK_DGRAM)[0][4]
    except (OSError, UnicodeError):
        raise NotAllowed("an IPv4 or IPv6 address of this host, or its name") from None
    address = ipaddress.ip_address(str(found[0]).partition("%")[0])
    if address.is_multicast or address == _BROADCAST:
        raise NotAllowed("an address of this host alone, not one of many hosts")
    if address.version == 4 or not address.is_link_local:
        return str(address)
    if not (interface := int(found[-1])):
        raise NotAllowed("a link-local address with its interface, such as fe80::1%eth0")
    return f"{address}%{interface}"


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of the server, checked.

    Attributes:
        bind: the address of both sockets.
        udp_port, http_port: 0 lets the system choose.
        secret: None if it is generated into `data_dir`. Blanks are rejected: the generated one
            in their place would change all user keys.
    """

    bind: str = setting("NOTIFY_BIND", "127.0.0.1", _address)
    udp_port: int = setting("UDP_PORT", 8082, integer(0, 65535))
    http_port: int = setting("UDP_HTTP_PORT", 8085, integer(0, 65535))
    api_key: str | None = NOTIFY_API_KEY.field()
    secret: str | None = setting(
        "NOTIFY_SECRET", None, printable_ascii, is_secret=True, may_be_blank=False
    )
    legacy: str = setting("NOTIFY_LEGACY_CLIENTS", "off", choice("off", "loopback", "any"))
    data_dir: Path = DATA_DIR.field()
    log_format: str = LOG_FORMAT.field()
    log_level: str = LOG_LEVEL.field()


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
