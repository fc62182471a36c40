"""An installation below a directory of its own, as `install.sh --root` makes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# What the units run; systemd-analyze wants to find it.
PROGRAMS = (
    "opt/mangahub/venv/bin/python",
    "opt/mangahub/venv/bin/mangahub-batch",
    "opt/mangahub/venv/bin/mangahub-notify",
    "opt/mangahub/venv/bin/mangahub-web",
    "bin/sh",
    "usr/bin/rm",
    "usr/bin/touch",
)

Script = Callable[..., subprocess.CompletedProcess[str]]


def run_script(name: str, *args: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of `scripts/` with this answer to its questions."""
    return subprocess.run(
        [ROOT / "scripts" / name, *args], input=answer, capture_output=True, text=True, timeout=30
    )


def stage(place: Path, *options: str) -> Path:
    """Install below `place`, everything but the virtual environment; return `place`."""
    done = run_script("install.sh", "--root", str(place), "--no-package", *options)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A directory with a fresh installation in it."""
    return stage(tmp_path / "host")


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with all that systemd-analyze looks for beside it; to be read only."""
    place = stage(tmp_path_factory.mktemp("host"))
    for name in PROGRAMS:
        program = place / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    targets = place / "usr/lib/systemd/system"
    targets.mkdir(parents=True)
    for target in Path("/lib/systemd/system").glob("*.target"):
        if target.is_file():
            shutil.copy(target, targets)
    return place


@pytest.fixture(scope="session")
def analyze() -> Script:
    """`analyze("verify", …)`: systemd-analyze, which needs no running systemd for what is asked."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian package: systemd)")

    def run(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environ = os.environ | {"SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [program, *args], capture_output=True, text=True, timeout=30, cwd=cwd, env=environ
        )

    return run
