"""The settings that several programs read."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

from mangahub.env import Env, NotAllowed, Setting, SettingError
from mangahub.log import FORMATS, LEVELS
from mangahub.parsers import absolute_path, choice, http_url, integer, number, printable_ascii


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/mangahub")
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise SettingError("MANGAHUB_DATA", "", "set: this user has no home directory") from None
    return Path(home) / ".local/share/mangahub"


# Kinds of address that reach this machine itself rather than a server.
_LOCAL_KINDS = frozenset("blink1 dbus file gnome glib kde macosx qt syslog windows".split())
_DEFAULT_KINDS = tuple(
    "ntfy ntfys discord tgram mailto mailtos gotify gotifys matrix matrixs webhook".split()
)


def _channel_kinds(text: str) -> tuple[str, ...]:
    """Return kinds of address in lower case; none for `off`."""
    if text.lower() == "off":
        return ()
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    if all(re.fullmatch(r"[a-z][a-z0-9]*", kind) and kind not in _LOCAL_KINDS for kind in kinds):
        return kinds
    raise NotAllowed(
        "off, or kinds of address that lead to a server, such as ntfy,discord,mailto,webhook"
    )


DATA_DIR = Setting("MANGAHUB_DATA", _default_data_dir, absolute_path)
NOTIFY_API_KEY = Setting("NOTIFY_API_KEY", None, printable_ascii, is_secret=True)
# Blanks are rejected: a secret generated in their place would change all user keys.
NOTIFY_SECRET = Setting("NOTIFY_SECRET", None, printable_ascii, is_secret=True, may_be_blank=False)
NOTIFY_CHANNELS = Setting("NOTIFY_CHANNELS", _DEFAULT_KINDS, _channel_kinds)
NOTIFY_CHANNELS_PRIVATE = Setting("NOTIFY_CHANNELS_PRIVATE", "off", choice("off", "on"))
MAX_COUNT = 10_000  # the API rejects a further page: offset + limit <= 10,000
INITIAL_COUNT = Setting("MANGA_SYNC_INITIAL_COUNT", 150, integer(1, MAX_COUNT))
NOTIFY_URL = Setting("UDP_SERVER_URL", "http://127.0.0.1:8085", http_url)
RATE_PER_SECOND = Setting("MANGA_SYNC_RATE_PER_SECOND", 5.0, number(0.01, 1000))
RATE_BURST = Setting("MANGA_SYNC_RATE_BURST", 1, integer(1, 100))
MANGADEX_API_URL = Setting("MANGADEX_API_URL", "https://api.mangadex.org", http_url)
MANGADEX_AUTH_URL = Setting("MANGADEX_AUTH_URL", "https://auth.mangadex.org", http_url)
LOG_FORMAT = Setting("LOG_FORMAT", "text", choice(*FORMATS))
LOG_LEVEL = Setting("LOG_LEVEL", "INFO", choice(*LEVELS))


def data_dir(env: Env) -> Path:
    return DATA_DIR.read(env)
