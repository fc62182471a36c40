"""The secret behind user keys, cookies and private addresses: `NOTIFY_SECRET`, else a file.

The file is in the data directory, and is made once.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
from pathlib import Path

log = logging.getLogger(__name__)

_NAME = "notify_secret"
LEAST_LENGTH = 16


class SecretUnusable(Exception):
    """The file with the secret cannot be read, or can be read by others; the text is one line."""


def load_secret(given: str | None, folder: Path) -> str:
    """Return the secret that derives user keys and cookies.

    Raises:
        SecretUnusable: the file cannot be read or made, or others can read it.
    """
    if given is not None:
        _warn_if_short(given)
        return given
    path = folder / _NAME
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as exc:
        raise SecretUnusable(
            f"the secret {path} cannot be used ({exc.strerror}): run as the user who owns it, "
            "or set NOTIFY_SECRET or MANGAHUB_DATA"
        ) from exc


def _warn_if_short(secret: str) -> None:
    if len(secret) < LEAST_LENGTH:
        log.warning(
            "NOTIFY_SECRET is short: anyone who sees a cookie can guess it, and with it every "
            "user's key; %d characters or more are safe",
            LEAST_LENGTH,
        )


def _create(path: Path) -> None:
    """Make the file as a whole or not at all; where two try at once, the first one's stays."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = path.with_name(f".{_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            if os.geteuid() == 0:  # whose the directory is runs the server, and has to read it
                owner = path.parent.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _read(path: Path) -> str:
    with open(path, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(4096).strip()
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise SecretUnusable(f"others can read the secret {path}: run `chmod 600 {path}`")
    if len(content) < LEAST_LENGTH or not content.isascii():
        raise SecretUnusable(
            f"the secret {path} is damaged (fewer than {LEAST_LENGTH} ASCII characters): restore "
            "it from a backup, or remove it to make a new one, which changes all user keys"
        )
    return content.decode("ascii")
