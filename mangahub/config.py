"""The settings that several programs read."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from mangahub.env import Env, Setting, SettingError
from mangahub.log import FORMATS, LEVELS
from mangahub.parsers import absolute_path, choice, printable_ascii


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/mangahub")
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise SettingError("MANGAHUB_DATA", "", "set: this user has no home directory") from None
    return Path(home) / ".local/share/mangahub"


DATA_DIR = Setting("MANGAHUB_DATA", _default_data_dir, absolute_path)
NOTIFY_API_KEY = Setting("NOTIFY_API_KEY", None, printable_ascii, is_secret=True)
# Blanks are rejected: a secret generated in their place would change all user keys.
NOTIFY_SECRET = Setting("NOTIFY_SECRET", None, printable_ascii, is_secret=True, may_be_blank=False)
LOG_FORMAT = Setting("LOG_FORMAT", "text", choice(*FORMATS))
LOG_LEVEL = Setting("LOG_LEVEL", "INFO", choice(*LEVELS))


def data_dir(env: Env) -> Path:
    return DATA_DIR.read(env)
