"""The shell scripts: they parse, explain themselves, and refuse what they do not know at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow  # each test starts programs

SCRIPTS = sorted([*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci/run"])
WITH_HELP = ("quickstart.sh", "initial_sync.sh", "test.sh")
BAD = {
    "unknown argument of the tour": ("quickstart.sh", "--nope"),
    "an unknown argument of the tour after a known one": ("quickstart.sh", "--offline", "--on"),
    "unknown argument of the import": ("initial_sync.sh", "--nope"),
    "missing number of the import": ("initial_sync.sh", "--count"),
    "a word the import does not know": ("initial_sync.sh", "everything"),
}


def run(script: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / script, *arguments],
        cwd=cwd,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_parses(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_stops_at_its_first_error_unless_it_is_sourced(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    if not text.startswith("# shellcheck shell=bash\n"):  # as those that are sourced do
        assert text.startswith("#!/usr/bin/env bash\n")
        assert "\nset -euo pipefail\n" in text
        assert script.stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("script", WITH_HELP)
def test_help_is_there_before_anything_is_installed_and_from_any_directory(
    script: str, tmp_path: Path
) -> None:
    done = run(script, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {script} [")
    assert done.stderr == ""


@pytest.mark.parametrize("command", BAD.values(), ids=BAD.keys())
def test_a_bad_argument_ends_with_one_line_and_code_2(command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"{command[0]}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("--count", "x"), ("--count", "0"), ("--all", "--count", "5")], ids=" ".join
)
def test_the_import_changes_no_database_where_its_arguments_are_wrong(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        [ROOT / "scripts/initial_sync.sh", *arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "MANGAHUB_DATA": str(tmp_path / "data")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "error: argument --count" in done.stderr
    assert not (tmp_path / "data").exists()
