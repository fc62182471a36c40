"""install.sh and uninstall.sh: safe to repeat, and nothing of the operator's is lost."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.systemd.conftest import run_script, stage

pytestmark = pytest.mark.slow  # each test starts programs

ENV_FILE = "etc/mangahub/mangahub.env"
UNITS = "etc/systemd/system"


def tree(place: Path) -> dict[str, tuple[str, str]]:
    """Every path below `place` with its mode and its content or target."""
    found = {}
    for path in sorted(place.rglob("*")):
        content = ""
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_text()
        found[str(path.relative_to(place))] = (stat.filemode(path.lstat().st_mode), content)
    return found


def files(place: Path) -> list[str]:
    return [name for name, (mode, _) in tree(place).items() if not mode.startswith("d")]


# --- installing ------------------------------------------------------------------------------


def test_installed_twice_is_the_same_as_once(staged: Path) -> None:
    once = tree(staged)
    assert tree(stage(staged)) == once


def test_the_settings_of_the_operator_stay_and_are_closed_to_others(staged: Path) -> None:
    settings = staged / ENV_FILE
    assert stat.S_IMODE(settings.stat().st_mode) == 0o640
    assert stat.S_IMODE(settings.parent.stat().st_mode) == 0o750
    settings.write_text("LOG_LEVEL=DEBUG\n")
    stage(staged)
    assert settings.read_text() == "LOG_LEVEL=DEBUG\n"


def test_a_dry_run_shows_the_same_commands_and_changes_nothing(tmp_path: Path) -> None:
    options = ("--root", str(tmp_path), "--no-package")
    dry = run_script("install.sh", *options, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert list(tmp_path.iterdir()) == []
    real = run_script("install.sh", *options)
    shown = [line for line in real.stdout.splitlines() if line.startswith("+ ")]
    assert [line for line in dry.stdout.splitlines() if line.startswith("+ ")] == shown != []


def test_a_dry_run_on_the_host_shows_user_package_and_services(tmp_path: Path) -> None:
    before = sorted(Path("/etc/systemd/system").iterdir())
    done = run_script("install.sh", "--dry-run", "--prefix", f"/opt/{tmp_path.name}")
    assert done.returncode == 0, done.stderr
    for command in (
        "-m venv",
        "-m pip",
        "install -D",
        "systemctl daemon-reload",
        "systemctl enable mangahub.target",
        "systemctl start mangahub.target",
    ):
        assert command in done.stdout
    assert sorted(Path("/etc/systemd/system").iterdir()) == before
    assert not Path(f"/opt/{tmp_path.name}").exists()


def test_programs_for_another_root_find_their_python_where_it_will_lie(tmp_path: Path) -> None:
    done = run_script("install.sh", "--dry-run", "--root", str(tmp_path), "--prefix", "/opt/other")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("+ sed -i 1s")]
    _, old, new, _ = shlex.split(line)[3].split("|")
    assert (old, new) == (f"^#!{tmp_path}/opt/other/venv.XXXXXX/", "#!/opt/other/venv/")


def test_with_no_start_nothing_is_enabled_or_started() -> None:
    done = run_script("install.sh", "--dry-run", "--no-start", "--no-package")
    assert "systemctl daemon-reload" in done.stdout
    for verb in ("enable", "start", "stop"):
        assert f"systemctl {verb}" not in done.stdout


def test_another_prefix_goes_into_all_files(tmp_path: Path) -> None:
    stage(tmp_path, "--prefix", "/srv/manga_hub-2")
    contents = {name: text for name, (_, text) in tree(tmp_path).items()}
    assert not [name for name, text in contents.items() if "/opt/mangahub" in text]
    unit = contents[f"{UNITS}/mangahub-notify.service"]
    assert "ExecStart=/srv/manga_hub-2/venv/bin/mangahub-notify serve" in unit
    assert contents["usr/local/bin/mangahub-batch"] == "/srv/manga_hub-2/as-mangahub"


def test_a_command_of_another_package_is_not_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "usr/local/bin/mangahub-batch"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    stage(tmp_path)
    assert run_script("uninstall.sh", "--root", str(tmp_path)).returncode == 0
    assert theirs.read_text() == "theirs"


WRONG = {
    "an unknown option": ("--rooot", "x"),
    "a missing directory": ("--root",),
    "a relative prefix": ("--prefix", "opt/mangahub"),
    "the root as prefix": ("--prefix", "/"),
    "a way up": ("--prefix", "/opt/../etc"),
    "blanks": ("--prefix", "/opt/manga hub"),
    "what sed would read": ("--prefix", "/opt/a&b"),
    "what services cannot see": ("--prefix", "/home/hub"),
}


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_refused_in_one_line(script: str, arguments: tuple[str, ...]) -> None:
    done = run_script(script, "--dry-run", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


# --- uninstalling ----------------------------------------------------------------------------


def test_uninstalled_leaves_settings_and_data_and_works_twice(staged: Path) -> None:
    data = staged / "var/lib/mangahub/postgres"
    data.mkdir(parents=True)
    for _ in range(2):
        done = run_script("uninstall.sh", "--root", str(staged))
        assert done.returncode == 0, done.stderr
        assert files(staged) == [ENV_FILE, f"{ENV_FILE}.example"]
        assert data.is_dir()


def test_installed_again_goes_on_with_the_settings_that_were_left(staged: Path) -> None:
    (staged / ENV_FILE).write_text("LOG_LEVEL=DEBUG\n")
    before = tree(staged)
    run_script("uninstall.sh", "--root", str(staged))
    assert tree(stage(staged)) == before


def test_changes_of_the_operator_to_units_stay(staged: Path) -> None:
    override = staged / UNITS / "mangahub-notify.service.d/override.conf"
    override.parent.mkdir(exist_ok=True)
    override.write_text("[Service]\nNice=5\n")
    assert run_script("uninstall.sh", "--root", str(staged)).returncode == 0
    assert override.is_file()


@pytest.mark.parametrize("answer", ["", "\n", "yes\n", "purge it\n"])
def test_a_purge_needs_the_very_word(staged: Path, answer: str) -> None:
    before = tree(staged)
    done = run_script("uninstall.sh", "--root", str(staged), "--purge", answer=answer)
    assert done.returncode == 1
    assert tree(staged) == before


@pytest.mark.parametrize(("options", "answer"), [(("--yes",), ""), ((), "purge\n")])
def test_a_purge_removes_settings_and_data(
    staged: Path, options: tuple[str, ...], answer: str
) -> None:
    data = staged / "var/lib/mangahub/postgres"
    data.mkdir(parents=True)
    (data / "row").write_text("kept until now")
    done = run_script("uninstall.sh", "--root", str(staged), "--purge", *options, answer=answer)
    assert done.returncode == 0, done.stderr
    assert files(staged) == []
    assert not data.parent.exists()


def test_a_dry_run_of_a_purge_changes_nothing(staged: Path) -> None:
    before = tree(staged)
    done = run_script("uninstall.sh", "--root", str(staged), "--purge", "--dry-run")
    assert done.returncode == 0
    assert "rm -rf" in done.stdout
    assert tree(staged) == before


# --- the commands ----------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="the commands are for root only")
def test_a_command_sees_the_settings_of_the_units_and_no_others(tmp_path: Path) -> None:
    stage(tmp_path, "--prefix", "/srv/mh")
    settings = tmp_path / ENV_FILE
    settings.write_text(
        '# LOG_LEVEL=ERROR\n;X=1\n\nLOG_LEVEL="DEBUG"\n  UDP_PORT=1 \nMANGADEX_API_KEY=a=b#c $d\n'
        "NOTIFY_SECRET='single'"
    )
    program = tmp_path / "srv/mh/venv/bin/mangahub-batch"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$*"; env\n')
    program.chmod(0o755)
    script = (tmp_path / "srv/mh/as-mangahub").read_text()
    # Below `tmp_path`, and as ourselves: there is no user mangahub here.
    for text, other in (
        ("=/etc/", f"={tmp_path}/etc/"),
        ("=/srv/", f"={tmp_path}/srv/"),
        ("setpriv --reuid=mangahub --regid=mangahub --init-groups", "setpriv"),
    ):
        assert text in script
        script = script.replace(text, other)
    command = tmp_path / "mangahub-batch"
    command.write_text(script)
    command.chmod(0o755)
    environ = os.environ | {"DATABASE_URL": "postgresql://elsewhere/", "LOG_FORMAT": "json"}
    done = subprocess.run(
        [command, "status", "--json"], capture_output=True, text=True, timeout=10, env=environ
    )
    first, *lines = done.stdout.splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert first == "status --json"
    assert seen["LOG_LEVEL"] == "DEBUG"
    assert seen["UDP_PORT"] == "1"
    assert seen["MANGADEX_API_KEY"] == "a=b#c $d"
    assert seen["NOTIFY_SECRET"] == "single"
    assert seen["DATABASE_URL"].endswith("host=/var/lib/mangahub/postgres/run")
    assert not {"LOG_FORMAT", "X"} & seen.keys()


def test_shellcheck_has_no_complaint() -> None:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed (Debian package: shellcheck)")
    scripts = ("scripts/install.sh", "scripts/uninstall.sh", "systemd/as-mangahub")
    done = subprocess.run(
        [program, "-x", *scripts], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
