"""Where the embedded database keeps what: all in one closed directory of the user that runs it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sql.embedded.owner import Owner, name_of
from sql.errors import EmbeddedUnavailable

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
        """The socket's directory: a short one below /tmp where the path would not do.

        It is not if it is too long, or contains characters that separate or quote directories.
        """
        place = self.home / "run"
        fits = len(os.fsencode(place / _SOCKET_NAME)) <= _SOCKET_LIMIT
        if fits and not re.search(r'[",\x00-\x1f]', str(place)):
            return place
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(f"/tmp/mangahub-{mark}")

    @property
    def socket(self) -> Path:
        return self.sockets / _SOCKET_NAME

    @property
    def socket_lock(self) -> Path:
        return self.sockets / f"{_SOCKET_NAME}.lock"

    def url(self, user: str = "mangahub", database: str = "mangahub") -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.sockets), safe='/')}"


def prepare(places: Places, owner: Owner) -> None:
    """Make the directories that are missing.

    Raises:
        EmbeddedUnavailable: one cannot be made, or `owner` cannot reach it.
    """
    data = places.home.parent
    try:
        _make_data(data, owner)
        if owner.is_other and not owner.can_enter(data):
            raise EmbeddedUnavailable(_unreachable(data, owner))
        _make_private(places.home, owner)
        _make_private(places.sockets, owner)
    except OSError as exc:
        raise EmbeddedUnavailable(explain(exc, data)) from exc


def _make_data(data: Path, owner: Owner) -> None:
    """Make the data directory: root's open for others to pass through, a person's closed."""
    missing = [place for place in (data, *data.parents) if not place.exists()]
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in missing if owner.is_other else ():
        place.chmod(0o755)


def _make_private(folder: Path, owner: Owner) -> None:
    """Make a directory of `owner` alone; one that another user made is refused, not repaired."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (NotADirectoryError, PermissionError) as exc:
        raise EmbeddedUnavailable(_foreign(folder, os.lstat(folder).st_uid)) from exc
    try:
        # As root we created it just now, or were killed before we could change its owner.
        if owner.is_other and os.fstat(handle).st_uid == 0 and not os.listdir(handle):
            os.chown(handle, owner.uid, owner.gid)
        found = os.fstat(handle)
        if found.st_uid != owner.uid:
            raise EmbeddedUnavailable(_foreign(folder, found.st_uid))
        if found.st_mode & 0o077:
            os.fchmod(handle, 0o700)
    finally:
        os.close(handle)


def _foreign(folder: Path, uid: int) -> str:
    return (
        f"{folder} was made by another user ({name_of(uid)}) or is no directory: "
        "remove it, set MANGAHUB_DATA to another place, or set DATABASE_URL"
    )


def _unreachable(data: Path, owner: Owner) -> str:
    blocking = next((p for p in reversed([data, *data.parents]) if not owner.can_enter(p)), data)
    return (
        f"PostgreSQL runs as user {owner.name}, who cannot enter {blocking}: "
        f"run `chmod o+x {blocking}`, set MANGAHUB_DATA to another place, or set DATABASE_URL"
    )


def explain(exc: OSError, place: Path) -> str:
    """Return one line on why files cannot be written below `place`, and what helps."""
    reason = {
        errno.ENOSPC: "its disk is full: free some space",
        errno.EDQUOT: "its quota is used up: free some space",
        errno.EROFS: "it is read-only: mount it writable",
        errno.EACCES: "it is not writable: grant access",
        errno.EPERM: "it is not writable: grant access",
        errno.ENOTDIR: "a part of its path is not a directory: choose another",
        errno.EEXIST: "a part of its path is not a directory: choose another",
    }.get(exc.errno or 0, f"{exc.strerror or exc}: fix it")
    where = exc.filename if isinstance(exc.filename, str) else str(place)
    return (
        f"cannot keep the embedded database below {place} ({where}): {reason}, "
        "set MANGAHUB_DATA to another place, or set DATABASE_URL"
    )
