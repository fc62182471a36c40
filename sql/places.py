"""Where the embedded database keeps what: all in one closed directory of the user that runs it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sql.errors import EmbeddedUnavailable
from sql.owner import Owner, name_of

# The kernel's limit for a socket's path is 108 bytes with the NUL at its end.
_SOCKET_LIMIT = 107
_SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Places:
    """The paths of one embedded database; `home` is `MANGAHUB_DATA/postgres`."""

    home: Path

    @property
    def cluster(self) -> Path:
        return self.home / "data"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def sockets(self) -> Path:
        """The socket's directory: a short one below /tmp where the path would be too long."""
        place = self.home / "run"
        if len(os.fsencode(place / _SOCKET_NAME)) <= _SOCKET_LIMIT:
            return place
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(f"/tmp/mangahub-{mark}")

    def url(self, user: str = "mangahub", database: str = "mangahub") -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.sockets), safe='/')}"


def prepare(places: Places, owner: Owner) -> None:
    """Makes the directories that are missing.

    Raises:
        EmbeddedUnavailable: one cannot be made, or `owner` cannot reach it.
    """
    data = places.home.parent
    try:
        # For root others must be able to pass; a person's own data is closed to others.
        data.mkdir(mode=0o755 if owner.is_other else 0o700, parents=True, exist_ok=True)
        if owner.is_other and not owner.can_enter(data):
            raise EmbeddedUnavailable(_unreachable(data, owner))
        _make_private(places.home, owner)
        _make_private(places.sockets, owner)
    except OSError as exc:
        raise EmbeddedUnavailable(explain(exc, data)) from exc


def _make_private(folder: Path, owner: Owner) -> None:
    """A directory of `owner` alone; one that somebody else made is refused, not repaired."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        owner.give(folder)
    found = os.lstat(folder)
    # Killed between its two steps, root left a directory of its own: empty, and its to give.
    if found.st_uid == os.geteuid() and owner.is_other and not os.listdir(folder):
        owner.give(folder)
        found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid:
        raise EmbeddedUnavailable(
            f"{folder} belongs to another user ({name_of(found.st_uid)}) or is no directory: "
            "remove it, or set DATABASE_URL"
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _unreachable(data: Path, owner: Owner) -> str:
    blocking = next((p for p in reversed([data, *data.parents]) if not owner.can_enter(p)), data)
    return (
        f"PostgreSQL runs as user {owner.name}, who cannot enter {blocking}: "
        f"run `chmod o+x {blocking}`, set MANGAHUB_DATA to another place, or set DATABASE_URL"
    )


def explain(exc: OSError, place: Path) -> str:
    """One line on why files cannot be written below `place`, and what helps."""
    reason = {
        errno.ENOSPC: "its disk is full: make room",
        errno.EDQUOT: "its quota is used up: make room",
        errno.EROFS: "it is read-only: mount it writable",
        errno.EACCES: "it may not be written: give access",
        errno.EPERM: "it may not be written: give access",
        errno.ENOTDIR: "a part of its path is no directory: choose another",
        errno.EEXIST: "a part of its path is no directory: choose another",
    }.get(exc.errno or 0, f"{exc.strerror or exc}: mend it")
    where = exc.filename if isinstance(exc.filename, str) else str(place)
    return (
        f"cannot keep the embedded database below {place} ({where}): {reason}, "
        "set MANGAHUB_DATA to another place, or set DATABASE_URL"
    )
