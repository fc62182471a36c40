"""The user that PostgreSQL runs as: ourselves, or an unprivileged one if we are root."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sql.errors import EmbeddedUnavailable

_UNPRIVILEGED = ("mangahub", "postgres", "nobody")


@dataclass(frozen=True)
class Owner:
    """The owner of the database's files."""

    uid: int
    gid: int
    name: str

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    def process_arguments(self) -> dict[str, Any]:
        """Return what makes `subprocess` run a program as this user, detached from ours."""
        environ = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        base = {"env": environ, "stdin": subprocess.DEVNULL, "start_new_session": True}
        if not self.is_other:
            return base
        return {**base, "user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make this user the owner of a file or directory of ours."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def append(self, path: Path, text: str) -> None:
        """Add to a file as this user: as root we would follow whatever stands in its place."""
        arguments = self.process_arguments()
        del arguments["stdin"]
        command = ["/bin/sh", "-c", 'cat >>"$1"', "sh", str(path)]
        done = subprocess.run(
            command, input=text, text=True, capture_output=True, cwd="/", **arguments
        )
        if done.returncode != 0:
            raise EmbeddedUnavailable(f"cannot write {path}: {done.stderr.strip()}")

    def can_run(self, program: Path) -> bool:
        return self._succeeds([str(program), "--version"])

    def can_enter(self, folder: Path) -> bool:
        return self._succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])

    def _succeeds(self, command: list[str]) -> bool:
        """Try it as that user: mode bits alone would miss ACLs and mount options."""
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=10, cwd="/", **self.process_arguments()
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0


def choose(home: Path) -> Owner:
    """Return the owner of an existing directory, else ourselves, else an unprivileged user.

    Raises:
        EmbeddedUnavailable: the directory belongs to another user and we are not root.
    """
    uid = os.geteuid()
    existing = _uid_of(home)
    if uid != 0:
        if existing not in (None, uid):
            raise EmbeddedUnavailable(
                f"{home} belongs to another user ({name_of(existing or 0)}): "
                "run as that user, set MANGAHUB_DATA, or set DATABASE_URL"
            )
        return Owner(uid, os.getegid(), name_of(uid))
    if existing:
        return _known(existing)
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid, name)
    raise EmbeddedUnavailable(
        "PostgreSQL never runs as root, and none of the users "
        f"{', '.join(_UNPRIVILEGED)} exists: create one, or set DATABASE_URL"
    )


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _known(uid: int) -> Owner:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Owner(uid, uid, str(uid))
    return Owner(uid, entry.pw_gid, entry.pw_name)


def _uid_of(path: Path) -> int | None:
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None
