"""Where the website is: its settings, and the file that says so while it runs."""

from __future__ import annotations

import ipaddress
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mangahub.env import Env, NotAllowed, Setting
from mangahub.parsers import http_url, integer
from mangahub.sockets import host_address

FILE = "website.json"


def _origin(text: str) -> str:
    """Return an address as browsers write an origin: lower case, without its usual port."""
    url = http_url(text).lower()
    if urlsplit(url).path:
        raise NotAllowed("an http:// or https:// address of a host, without a path")
    return url.removesuffix(":443" if url.startswith("https:") else ":80")


WEB_BIND = Setting("WEB_BIND", "127.0.0.1", host_address)
WEB_PORT = Setting("WEB_PORT", 8086, integer(0, 65535))
WEB_URL: Setting[str | None] = Setting("WEB_URL", None, _origin)


def find_url(env: Env, data_dir: Path) -> tuple[str, bool]:
    """Return the website's address for readers, and whether it is known to be right.

    It is `WEB_URL`, else where the running website says that it listens, else where it would.
    """
    if (url := WEB_URL.read(env)) is not None:
        return url, True
    with suppress(OSError, ValueError, TypeError, KeyError):
        running: Any = json.loads((data_dir / FILE).read_text(encoding="utf-8"))
        return url_of(str(running["http"])), True
    bind = WEB_BIND.read(env)
    host = f"[{bind}]" if ":" in bind else bind
    return url_of(f"{host}:{WEB_PORT.read(env)}"), False


def url_of(address: str) -> str:
    """Return the URL of a socket's `host:port`; of one for all addresses, this host's own."""
    host, _, port = address.rpartition(":")
    with suppress(ValueError):
        if ipaddress.ip_address(host.strip("[]")).is_unspecified:
            host = "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"http://{host}:{port}"
